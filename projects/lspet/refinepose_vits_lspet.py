"""RefinePose-S on LSP-Extended, 256x192, from an MAE-pretrained encoder."""
_base_ = [
    '../../configs/_base_/runtime.py', '../../configs/_base_/schedule_310e.py',
    '../../configs/_base_/refinepose_vitb.py', '../../configs/_base_/encoder_small.py',
    './_base_/lspet.py'
]

model = dict(
    _base_.encoder.model,
    head=dict(_base_.encoder.model.head, out_channels=14, decoder=_base_.codec))
optim_wrapper = _base_.encoder.optim_wrapper
