"""RefinePose-B on four data sets, as MPII's 16 joints; evaluated on MPII. Not in the paper."""
_base_ = ['refinepose_vitb_mpii.py', '_base_/four_datasets.py']

# (joint of the source, joint of MPII); the pelvis lies between the hips, the thorax between the
# shoulders. The tops of heads are MPII's too.
aic_to_mpii = [(8, 0), (7, 1), (6, 2), (9, 3), (10, 4), (11, 5), ((6, 9), 6), ((0, 3), 7), (12, 9),
               (2, 10), (1, 11), (0, 12), (3, 13), (4, 14), (5, 15)]
coco_to_mpii = [(16, 0), (14, 1), (12, 2), (11, 3), (13, 4), (15, 5), ((11, 12), 6), ((5, 6), 7),
                (10, 10), (8, 11), (6, 12), (5, 13), (7, 14), (9, 15)]
crowdpose_to_mpii = [(11, 0), (9, 1), (7, 2), (6, 3), (8, 4), (10, 5), ((6, 7), 6), ((0, 1), 7),
                     (12, 9), (5, 10), (3, 11), (1, 12), (0, 13), (2, 14), (4, 15)]

# In this pipeline joints are 0-based already, as MPII's own become on the way in.
train_pipeline = [step for step in _base_.train_pipeline if step.type != 'ZeroBasedJoints']
to_mpii = dict(type='JointConverter', num_keypoints=16)
train_dataloader = dict(dataset=dict(
    _delete_=True,
    type='CombinedDataset',
    metainfo=dict(from_file='configs/_base_/datasets/mpii.py'),
    datasets=[
        dict(_base_.coco, pipeline=[dict(to_mpii, mapping=coco_to_mpii)]),
        dict(_base_.aic, pipeline=[dict(to_mpii, mapping=aic_to_mpii)]),
        dict(_base_.mpii, pipeline=[dict(type='ZeroBasedJoints')]),
        dict(_base_.crowdpose, pipeline=[dict(to_mpii, mapping=crowdpose_to_mpii)]),
    ],
    pipeline=train_pipeline))
