"""RefinePose-B on four data sets, a head for each, 256x192; tested on COCO. Not in the paper.

A checkpoint of this run is also one of refinepose_vitb_four_heads_mpii.py, and the reverse.
"""
_base_ = ['./refinepose_vitb_coco.py', '_base_/four_datasets.py']

model = dict(
    type='MultiHeadPoseEstimator',
    dataset='coco',
    associates=dict(aic=dict(out_channels=14), mpii=dict(out_channels=16),
                    crowdpose=dict(out_channels=14)))

# Each set has joints, flips and half bodies of its own: it prepares its samples up to the targets.
steps = _base_.train_pipeline[:-1]
train_dataloader = dict(dataset=dict(
    _delete_=True,
    type='CombinedDataset',
    metainfo=dict(from_file='configs/_base_/datasets/coco.py'),
    datasets=[
        dict(_base_.coco, pipeline=steps),
        dict(_base_.aic, pipeline=steps),
        dict(_base_.mpii, pipeline=[steps[0], dict(type='ZeroBasedJoints'), *steps[1:]]),
        dict(_base_.crowdpose, pipeline=steps),
    ],
    pipeline=[dict(type='PackPoseInputs')]))
