"""RefinePose-B on four data sets, a head for each, 256x192; tested on MPII. Not in the paper.

Compare it with vitpose_vitb_four_heads_mpii.py, the paper's baseline.
"""
_base_ = './refinepose_vitb_four_heads_coco.py'

dataset_type = 'MpiiDataset'
model = dict(
    dataset='mpii',
    head=dict(out_channels=16),
    associates=dict(
        _delete_=True, coco=dict(out_channels=17), aic=dict(out_channels=14),
        crowdpose=dict(out_channels=14)))
train_dataloader = dict(
    dataset=dict(metainfo=dict(from_file='configs/_base_/datasets/mpii.py')))
val_dataloader = dict(dataset=dict(
    _base_.mpii,
    _delete_=True,
    ann_file='annotations/mpii_val.json',
    headbox_file=f'{_base_.mpii_root}/annotations/mpii_gt_val.mat',
    pipeline=_base_.val_pipeline,
    test_mode=True))
test_dataloader = val_dataloader
val_evaluator = dict(_delete_=True, type='MpiiPCKAccuracy')
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(save_best='PCK'))
