"""AI Challenger: 14 joints, 256x192, AP on ground-truth boxes.

AIC_ROOT has annotations/ and the folders of the two downloads.
"""
_base_ = './crops_256x192.py'

# '{{$NAME:default}}' would paste quotes and backslashes of a path into this file as code.
data_root = __import__('os').environ.get('AIC_ROOT') or 'data/aic/'
dataset_type = 'AicDataset'
folders = dict(train='ai_challenger_keypoint_train_20170902/keypoint_train_images_20170902/',
               val='ai_challenger_keypoint_validation_20170911/'
               'keypoint_validation_images_20170911/')
files = dict(type=dataset_type, data_root=data_root)
train_dataloader = dict(dataset=dict(
    files, ann_file='annotations/aic_train.json', data_prefix=dict(img=folders['train']),
    pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(
    files, ann_file='annotations/aic_val.json', data_prefix=dict(img=folders['val']),
    pipeline=_base_.val_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(
    type='CocoMetric', ann_file=f'{data_root}/annotations/aic_val.json', use_area=False)
test_evaluator = val_evaluator
