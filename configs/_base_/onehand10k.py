"""OneHand10K: 21 joints of a hand, 256x256, PCK@0.2 of the box, AUC and EPE in pixels.

ONEHAND10K_ROOT has annotations/ and the folders of images that they name.
"""
_base_ = './crops_256x256.py'

# '{{$NAME:default}}' would paste quotes and backslashes of a path into this file as code.
data_root = __import__('os').environ.get('ONEHAND10K_ROOT', 'data/onehand10k/')
dataset_type = 'OneHand10KDataset'
files = dict(type=dataset_type, data_root=data_root)
train_pipeline = [dict(step, **dict(RandomBBoxTransform=dict(
    rotate_factor=180, scale_factor=(.7, 1.3))).get(step.type, {}))
    for step in _base_.train_pipeline if step.type != 'RandomHalfBody']
train_dataloader = dict(dataset=dict(
    files, ann_file='annotations/onehand10k_train.json', pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(
    files, ann_file='annotations/onehand10k_test.json', pipeline=_base_.val_pipeline))
test_dataloader = val_dataloader
val_evaluator = [dict(type='PCKAccuracy', thr=.2), dict(type='AUC'), dict(type='EPE')]
test_evaluator = val_evaluator
