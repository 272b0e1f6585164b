"""JHMDB: 15 joints, 256x256, PCK@0.2 of the box and of the torso.

JHMDB_ROOT has annotations/ and Rename_Images/. The set's figure is the mean of three splits;
JHMDB_SPLIT is 1 (the default), 2 or 3.
"""
_base_ = './crops_256x256.py'

# '{{$NAME:default}}' would paste quotes and backslashes of a path into this file as code.
data_root = __import__('os').environ.get('JHMDB_ROOT') or 'data/jhmdb/'
split = __import__('os').environ.get('JHMDB_SPLIT', '1')
dataset_type = 'JhmdbDataset'
files = dict(type=dataset_type, data_root=data_root)
train_pipeline = [dict(step, **dict(RandomBBoxTransform=dict(
    rotate_factor=60, scale_factor=(.75, 1.25))).get(step.type, {}))
    for step in _base_.train_pipeline if step.type != 'RandomHalfBody']
train_dataloader = dict(dataset=dict(
    files, ann_file=f'annotations/Sub{split}_train.json', pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(
    files, ann_file=f'annotations/Sub{split}_test.json', pipeline=_base_.val_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='JhmdbPCKAccuracy', thr=.2, norm_item=['bbox', 'torso'])
test_evaluator = val_evaluator
