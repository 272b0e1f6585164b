"""CrowdPose: 14 joints, 256x192, AP of all, easy, medium and hard images.

CROWDPOSE_ROOT has annotations/ and images/. Tests take its detected boxes, or those of
CROWDPOSE_BOXES: gt, or the path of a detection file.
"""
_base_ = './crops_256x192.py'

# '{{$NAME:default}}' would paste quotes and backslashes of a path into this file as code.
data_root = __import__('os').environ.get('CROWDPOSE_ROOT') or 'data/crowdpose/'
boxes = __import__('os').environ.get(
    'CROWDPOSE_BOXES', f'{data_root}/annotations/det_for_crowd_test_0.1_0.5.json')
dataset_type = 'CrowdPoseDataset'
files = dict(type=dataset_type, data_root=data_root, data_prefix=dict(img='images/'))
train_dataloader = dict(dataset=dict(
    files, ann_file='annotations/mmpose_crowdpose_trainval.json', pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(
    files, ann_file='annotations/mmpose_crowdpose_test.json', pipeline=_base_.val_pipeline))
test_dataloader = dict(
    dataset=dict(val_dataloader['dataset'], bbox_file=None if boxes == 'gt' else boxes))
val_evaluator = dict(
    type='CocoMetric', ann_file=f'{data_root}/annotations/mmpose_crowdpose_test.json',
    use_area=False, iou_type='keypoints_crowd', prefix='crowdpose')
test_evaluator = val_evaluator
