"""Halpe Full-Body: 136 joints of body, feet, face and hands, 256x192, AP on ground-truth boxes.

HALPE_ROOT has annotations/, hico_20160224_det/ and COCO's val2017/.
"""
_base_ = './crops_256x192.py'

# '{{$NAME:default}}' would paste quotes and backslashes of a path into this file as code.
data_root = __import__('os').environ.get('HALPE_ROOT') or 'data/halpe/'
dataset_type = 'HalpeDataset'
train_dataloader = dict(dataset=dict(
    type=dataset_type,
    data_root=data_root,
    ann_file='annotations/halpe_train_v1.json',
    data_prefix=dict(img='hico_20160224_det/images/train2015/'),
    pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(
    type=dataset_type,
    data_root=data_root,
    ann_file='annotations/halpe_val_v1.json',
    data_prefix=dict(img='val2017/'),
    pipeline=_base_.val_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(type='CocoMetric', ann_file=f'{data_root}/annotations/halpe_val_v1.json')
test_evaluator = val_evaluator
