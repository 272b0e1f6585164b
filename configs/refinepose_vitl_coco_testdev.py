"""RefinePose-L on COCO test-dev: Table 1. The paper reports AP 77.5, AR 82.3."""
_base_ = './refinepose_vitb_coco_testdev.py'

model = dict(
    backbone=dict(arch='large', init_cfg=None),  # only for tests of a trained checkpoint
    head=dict(in_channels=1024))
