"""Animal-Pose: 20 joints of five species, 256x256, AP on ground-truth boxes, MMPose's split.

ANIMALPOSE_ROOT has annotations/ and the folders of images that they name.
"""
_base_ = './crops_256x256.py'

# '{{$NAME:default}}' would paste quotes and backslashes of a path into this file as code.
data_root = __import__('os').environ.get('ANIMALPOSE_ROOT') or 'data/animalpose/'
dataset_type = 'AnimalPoseDataset'
files = dict(type=dataset_type, data_root=data_root)
train_dataloader = dict(dataset=dict(
    files, ann_file='annotations/animalpose_train.json', pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(
    files, ann_file='annotations/animalpose_val.json', pipeline=_base_.val_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='CocoMetric', ann_file=f'{data_root}/annotations/animalpose_val.json')
test_evaluator = val_evaluator
