"""A tiny RefinePose learns a handful of COCO photos by heart; see README.md beside this file."""
_base_ = '../../configs/refinepose_tiny_toy.py'

# '{{$NAME:default}}' would paste quotes and backslashes of a path into this file as code.
data_root = __import__('os').environ.get('COCO_ROOT') or 'data/coco/'
annotations = 'annotations/person_keypoints_train2017.json'

# The photos are seen as they are, without augmentation: the question is whether the chain of
# codec, crop, network, decoding and un-cropping is exact, not whether it generalises.
train_pipeline = [step for step in _base_.train_pipeline if not step.type.startswith('Random')]
photos = dict(data_root=data_root, ann_file=annotations, data_prefix=dict(img='train2017/'))
# Half of the persons in a batch: the statistics of BatchNorm should be those of the whole set.
train_dataloader = dict(
    batch_size=43, num_workers=0, dataset=dict(**photos, pipeline=train_pipeline))
val_dataloader = dict(dataset=photos)
test_dataloader = dict(dataset=photos)
val_evaluator = dict(ann_file=f'{data_root}/{annotations}')
test_evaluator = val_evaluator

# A flip test would average with mirrored photos, which were never learned.
model = dict(test_cfg=dict(flip_test=False))
optim_wrapper = dict(optimizer=dict(lr=2e-3))
train_cfg = dict(max_epochs=240, val_interval=60)
default_hooks = dict(checkpoint=dict(interval=60))
