"""Change of a COCO config to the test-dev photos, which have no public annotations.

`mim test` writes work_dirs/coco_testdev.keypoints.json in the format of COCO's evaluation server.
COCO_BOXES can be the path of another detection file.
"""
# '{{$NAME:default}}' would paste quotes and backslashes of a path into this file as code.
testdev_root = __import__('os').environ.get('COCO_ROOT') or 'data/coco/'
testdev_boxes = __import__('os').environ.get('COCO_BOXES', 'AP_H_56')
if testdev_boxes.lower() == 'gt':
    raise ValueError('COCO_BOXES=gt: test-dev has no ground-truth boxes; unset COCO_BOXES or set '
                     'it to the path of a detection file')
if testdev_boxes.lower() == 'ap_h_56':  # the default, which is the name of val's detections
    testdev_boxes = (f'{testdev_root}/person_detection_results/'
                     'COCO_test-dev2017_detections_AP_H_609_person.json')

coco_testdev = dict(
    test_dataloader=dict(
        dataset=dict(
            ann_file='annotations/image_info_test-dev2017.json',
            bbox_file=testdev_boxes,
            data_prefix=dict(img='test2017/'))),
    test_evaluator=dict(
        ann_file=f'{testdev_root}/annotations/image_info_test-dev2017.json',
        format_only=True,
        outfile_prefix='work_dirs/coco_testdev'))
