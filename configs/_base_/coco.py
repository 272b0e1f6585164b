"""COCO keypoints: 17 joints, 256x192, detected persons for validation.

COCO_ROOT is the folder with annotations/, train2017/, val2017/ and person_detection_results/.
COCO_BOXES is the path of another detection file for validation, or gt for ground-truth boxes.
"""
_base_ = './topdown.py'

data_root = '{{$COCO_ROOT:data/coco/}}'
boxes = '{{$COCO_BOXES:AP_H_56}}'
known_boxes = dict(
    AP_H_56=f'{data_root}/person_detection_results/COCO_val2017_detections_AP_H_56_person.json',
    gt=None)
dataset_type = 'CocoDataset'
codec = dict(type='BatchedUDPHeatmap', input_size=(192, 256), heatmap_size=(48, 64), sigma=2)

train_pipeline = [
    dict(type='LoadCompleteImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomHalfBody'),
    dict(type='RandomBBoxTransform'),
    dict(type='TopdownAffine', input_size=codec['input_size'], use_udp=True),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs'),
]
val_pipeline = [
    dict(type='LoadCompleteImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=codec['input_size'], use_udp=True),
    dict(type='PackPoseInputs'),
]

train_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/person_keypoints_train2017.json',
        data_prefix=dict(img='train2017/'),
        pipeline=train_pipeline))
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/person_keypoints_val2017.json',
        bbox_file=known_boxes.get(boxes, boxes),
        data_prefix=dict(img='val2017/'),
        pipeline=val_pipeline))
test_dataloader = val_dataloader

val_evaluator = dict(
    type='CocoMetric', ann_file=f'{data_root}/annotations/person_keypoints_val2017.json')
test_evaluator = val_evaluator
