"""RefinePose-H with its optimizer state sharded over the processes, for less memory on each."""
_base_ = './refinepose_vith_coco.py'

optim_wrapper = dict(
    optimizer=dict(
        _delete_=True,
        type='ZeroRedundancyOptimizer',
        optimizer_type='AdamW',
        lr=5e-4,
        betas=(0.9, 0.999),
        weight_decay=0.1))
