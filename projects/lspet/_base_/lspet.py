"""LSP-Extended: 14 joints, one person per photo, 256x192; see README.md one folder up.

LSPET_ROOT is the folder with lspet_train.json, lspet_val.json, train/ and val/. To validate on
other photos, set LSPET_VAL to the path of their annotations and LSPET_VAL_IMAGES to their folder.
"""
_base_ = '../../../configs/_base_/topdown.py'

# '{{$NAME:default}}' would paste quotes and backslashes of a path into this file as code.
data_root = __import__('os').environ.get('LSPET_ROOT') or 'data/lspet/'
val_annotations = __import__('os').environ.get('LSPET_VAL', 'default')
if val_annotations == 'default':
    val_annotations = f'{data_root}/lspet_val.json'
val_images = __import__('os').environ.get('LSPET_VAL_IMAGES', 'default')
if val_images == 'default':
    val_images = f'{data_root}/val/'
dataset_type = 'CocoDataset'
# Three quotes, for the path may hold one.
metainfo = dict(from_file=r"""{{fileDirname}}/../metainfo.py""")
codec = dict(type='BatchedUDPHeatmap', input_size=(192, 256), heatmap_size=(48, 64), sigma=2)

train_pipeline = [
    dict(type='LoadCompleteImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform', scale_factor=(.75, 1.25), rotate_factor=60),
    dict(type='TopdownAffine', input_size=codec['input_size'], use_udp=True),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs'),
]
val_pipeline = [
    dict(type='LoadCompleteImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=codec['input_size'], use_udp=True),
    dict(type='PackPoseInputs'),
]

train_dataloader = dict(
    batch_size=32,
    num_workers=2,
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        ann_file='lspet_train.json',
        data_prefix=dict(img='train/'),
        pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=50,
    num_workers=2,
    dataset=dict(
        type=dataset_type,
        metainfo=metainfo,
        ann_file=val_annotations,
        data_prefix=dict(img=val_images),
        pipeline=val_pipeline))
test_dataloader = val_dataloader

# PCK is normalised by the longer side of the box. MMPose's norm_item='torso' is the distance
# between joints 4 and 5: the torso in JHMDB, a shin here.
val_evaluator = [
    dict(type='PCKAccuracy', thr=.2, norm_item='bbox', prefix='bbox@0.2'),
    dict(type='PCKAccuracy', thr=.1, norm_item='bbox', prefix='bbox@0.1'),
    dict(type='PCKAccuracy', thr=.05, norm_item='bbox', prefix='bbox@0.05'),
    dict(type='CocoMetric', ann_file=val_annotations),
]
test_evaluator = val_evaluator
