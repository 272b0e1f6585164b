"""RefinePose-B on COCO test-dev: Table 1. The paper reports AP 75.3, AR 80.5.

Writes work_dirs/coco_testdev.keypoints.json in the format of COCO's evaluation server; test-dev
has no public annotations. COCO_BOXES can name another detection file.
"""
_base_ = './refinepose_vitb_coco.py'

data_root = _base_.data_root
boxes = _base_.boxes
if boxes == 'AP_H_56':  # the default, which is a detector's name on val
    boxes = (f'{data_root}/person_detection_results/'
             'COCO_test-dev2017_detections_AP_H_609_person.json')
test_dataloader = dict(
    dataset=dict(
        ann_file='annotations/image_info_test-dev2017.json',
        bbox_file=boxes,
        data_prefix=dict(img='test2017/')))
test_evaluator = dict(
    ann_file=f'{data_root}/annotations/image_info_test-dev2017.json',
    format_only=True,
    outfile_prefix='work_dirs/coco_testdev')
