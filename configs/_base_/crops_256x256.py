"""Square crops, 256x256, for animals, hands, faces and the sets whose papers crop squares."""
_base_ = './crops_256x192.py'

codec = dict(type='BatchedUDPHeatmap', input_size=(256, 256), heatmap_size=(64, 64), sigma=2)

sizes = dict(
    TopdownAffine=dict(input_size=codec['input_size']), GenerateTarget=dict(encoder=codec))
train_pipeline = [dict(step, **sizes.get(step.type, {})) for step in _base_.train_pipeline]
val_pipeline = [dict(step, **sizes.get(step.type, {})) for step in _base_.val_pipeline]
