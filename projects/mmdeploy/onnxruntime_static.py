"""MMDeploy 1.3.1: heatmaps for ONNX Runtime, batches of one, 256x192.

With PyTorch 2.9 and later, whose exporter MMDeploy does not know, the batch must be fixed.
"""
onnx_config = dict(
    type='onnx',
    export_params=True,
    keep_initializers_as_inputs=False,
    opset_version=18,
    save_file='end2end.onnx',
    input_names=['input'],
    output_names=['output'],
    input_shape=[192, 256],
    dynamic_axes=None)
codebase_config = dict(type='mmpose', task='PoseDetection')
backend_config = dict(type='onnxruntime')
