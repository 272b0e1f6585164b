"""AP-10K: 17 joints of 54 species, 256x256, AP as the mean over species, ground-truth boxes.

AP10K_ROOT has annotations/ and data/. This is split 1.
"""
_base_ = './crops_256x256.py'

# '{{$NAME:default}}' would paste quotes and backslashes of a path into this file as code.
data_root = __import__('os').environ.get('AP10K_ROOT', 'data/ap10k/')
dataset_type = 'AP10KDataset'
annotations = 'annotations/ap10k-{}-split1.json'
files = dict(type=dataset_type, data_root=data_root, data_prefix=dict(img='data/'))
train_dataloader = dict(dataset=dict(
    files, ann_file=annotations.format('train'), pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(
    files, ann_file=annotations.format('val'), pipeline=_base_.val_pipeline))
test_dataloader = dict(dataset=dict(val_dataloader['dataset'], ann_file=annotations.format('test')))
val_evaluator = dict(type='CocoMetric', ann_file=f'{data_root}/{annotations.format("val")}')
test_evaluator = dict(val_evaluator, ann_file=f'{data_root}/{annotations.format("test")}')
