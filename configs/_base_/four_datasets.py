"""COCO, AI Challenger, MPII and CrowdPose, the sets that the paper's MPII baseline learned from.

COCO_ROOT, AIC_ROOT, MPII_ROOT and CROWDPOSE_ROOT are the folders in MMPose's layout. Joints are
matched by name; the target set decides which of them count. Necks are left out: each of the sets
means another point by the word.
"""
# '{{$NAME:default}}' would paste quotes and backslashes of a path into this file as code.
coco_root = __import__('os').environ.get('COCO_ROOT') or 'data/coco/'
aic_root = __import__('os').environ.get('AIC_ROOT') or 'data/aic/'
mpii_root = __import__('os').environ.get('MPII_ROOT') or 'data/mpii/'
crowdpose_root = __import__('os').environ.get('CROWDPOSE_ROOT') or 'data/crowdpose/'

coco = dict(
    type='CocoDataset',
    data_root=coco_root,
    data_mode='topdown',
    ann_file='annotations/person_keypoints_train2017.json',
    data_prefix=dict(img='train2017/'))
aic = dict(
    type='AicDataset',
    data_root=aic_root,
    data_mode='topdown',
    ann_file='annotations/aic_train.json',
    data_prefix=dict(
        img='ai_challenger_keypoint_train_20170902/keypoint_train_images_20170902/'))
mpii = dict(
    type='MpiiDataset',
    data_root=mpii_root,
    data_mode='topdown',
    ann_file='annotations/mpii_train.json',
    data_prefix=dict(img='images/'))
crowdpose = dict(
    type='CrowdPoseDataset',
    data_root=crowdpose_root,
    data_mode='topdown',
    ann_file='annotations/mmpose_crowdpose_trainval.json',
    data_prefix=dict(img='images/'))
