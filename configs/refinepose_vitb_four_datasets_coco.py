"""RefinePose-B on four data sets, as COCO's 17 joints; evaluated on COCO. Not in the paper."""
_base_ = ['refinepose_vitb_coco.py', '_base_/four_datasets.py']

# (joint of the source, joint of COCO)
aic_to_coco = [(3, 5), (0, 6), (4, 7), (1, 8), (5, 9), (2, 10), (9, 11), (6, 12), (10, 13),
               (7, 14), (11, 15), (8, 16)]
mpii_to_coco = [(13, 5), (12, 6), (14, 7), (11, 8), (15, 9), (10, 10), (3, 11), (2, 12), (4, 13),
                (1, 14), (5, 15), (0, 16)]
crowdpose_to_coco = [(joint, joint + 5) for joint in range(12)]

to_coco = dict(type='KeypointConverter', num_keypoints=17)
train_dataloader = dict(dataset=dict(
    _delete_=True,
    type='CombinedDataset',
    metainfo=dict(from_file='configs/_base_/datasets/coco.py'),
    datasets=[
        _base_.coco,
        dict(_base_.aic, pipeline=[dict(to_coco, mapping=aic_to_coco)]),
        dict(_base_.mpii,
             pipeline=[dict(type='ZeroBasedJoints'), dict(to_coco, mapping=mpii_to_coco)]),
        dict(_base_.crowdpose, pipeline=[dict(to_coco, mapping=crowdpose_to_coco)]),
    ],
    pipeline=_base_.train_pipeline))
