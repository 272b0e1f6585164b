"""COCO keypoints: 17 joints, 256x192, tested on detected persons.

COCO_ROOT is the folder with annotations/, train2017/, val2017/ and person_detection_results/.
COCO_BOXES chooses the boxes that `mim test` takes: AP_H_56, the usual detections, gt for
ground-truth boxes, or the path of another detection file. Validation during training takes
ground-truth boxes, so that it needs no detection file and many times fewer crops.
"""
_base_ = './crops_256x192.py'

# '{{$NAME:default}}' would paste quotes and backslashes of a path into this file as code.
data_root = __import__('os').environ.get('COCO_ROOT') or 'data/coco/'
boxes = __import__('os').environ.get('COCO_BOXES', 'AP_H_56')
bbox_file = dict(
    ap_h_56=f'{data_root}/person_detection_results/COCO_val2017_detections_AP_H_56_person.json',
    gt=None).get(boxes.lower(), boxes)
if bbox_file and '.' not in bbox_file:
    raise ValueError(f'COCO_BOXES must be AP_H_56, gt or the path of a file, got {boxes}')
dataset_type = 'CocoDataset'

train_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/person_keypoints_train2017.json',
        data_prefix=dict(img='train2017/'),
        pipeline=_base_.train_pipeline))
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/person_keypoints_val2017.json',
        data_prefix=dict(img='val2017/'),
        pipeline=_base_.val_pipeline))
test_dataloader = dict(dataset=dict(val_dataloader['dataset'], bbox_file=bbox_file))

val_evaluator = dict(
    type='CocoMetric', ann_file=f'{data_root}/annotations/person_keypoints_val2017.json')
test_evaluator = val_evaluator
