"""PoseTrack18: 17 joints, two of them never labelled, 256x192.

POSETRACK18_ROOT has annotations/ and images/. Tests take its detected boxes, or those of
POSETRACK18_BOXES: gt, or the path of a detection file; they need poseval (see README.md).
"""
_base_ = './crops_256x192.py'

# '{{$NAME:default}}' would paste quotes and backslashes of a path into this file as code.
data_root = __import__('os').environ.get('POSETRACK18_ROOT', 'data/posetrack18/')
boxes = __import__('os').environ.get(
    'POSETRACK18_BOXES', f'{data_root}/annotations/posetrack18_val_human_detections.json')
dataset_type = 'PoseTrack18Dataset'
files = dict(type=dataset_type, data_root=data_root)
train_dataloader = dict(dataset=dict(
    files, ann_file='annotations/posetrack18_train.json', pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(
    files, ann_file='annotations/posetrack18_val.json', pipeline=_base_.val_pipeline))
test_dataloader = dict(dataset=dict(
    val_dataloader['dataset'], bbox_file=None if boxes == 'gt' else boxes,
    filter_cfg=dict(bbox_score_thr=.4)))
val_evaluator = dict(
    type='CocoMetric', ann_file=f'{data_root}/annotations/posetrack18_val.json', use_area=False)
test_evaluator = dict(
    type='PoseTrack18Metric', ann_file=f'{data_root}/annotations/posetrack18_val.json')
