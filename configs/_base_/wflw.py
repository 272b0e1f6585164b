"""WFLW: 98 landmarks of a face, 256x256, mean error by the distance of the eyes' outer corners.

WFLW_ROOT has annotations/ and images/.
"""
_base_ = './crops_256x256.py'

# '{{$NAME:default}}' would paste quotes and backslashes of a path into this file as code.
data_root = __import__('os').environ.get('WFLW_ROOT') or 'data/wflw/'
dataset_type = 'WFLWDataset'
files = dict(type=dataset_type, data_root=data_root, data_prefix=dict(img='images/'))
train_pipeline = [dict(step, **dict(RandomBBoxTransform=dict(
    shift_prob=0, rotate_factor=60, scale_factor=(.75, 1.25))).get(step.type, {}))
    for step in _base_.train_pipeline if step.type != 'RandomHalfBody']
train_dataloader = dict(dataset=dict(
    files, ann_file='annotations/face_landmarks_wflw_train.json', pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(
    files, ann_file='annotations/face_landmarks_wflw_test.json', pipeline=_base_.val_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='NME', norm_mode='keypoint_distance')
test_evaluator = val_evaluator
