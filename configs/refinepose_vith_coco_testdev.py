"""RefinePose-H on COCO test-dev: Table 1. The paper reports AP 78.4, AR 83.3."""
_base_ = './refinepose_vitb_coco_testdev.py'

model = dict(
    backbone=dict(arch='huge', init_cfg=None),  # only for tests of a trained checkpoint
    head=dict(in_channels=1280))
