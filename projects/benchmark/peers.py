"""RefinePose against what people would install instead, in one process and in turns.

    pip install --no-deps mmpretrain==1.2.0     # MMPose's ViTPose
    python projects/benchmark/peers.py --peer mmpretrain --exported

    pip install --target peers transformers     # apart: version 5 breaks mmpretrain
    PYTHONPATH=peers python projects/benchmark/peers.py --peer transformers --exported

All weights are random, which take as long as trained ones.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Callable

import numpy as np
import torch
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from refinepose_mm.benchmark import report
from refinepose_mm.benchmark.measure import compare, device_name, matmul_rate
from refinepose_mm.benchmark.subjects import build, make_task, variants
from refinepose_mm.complexity import CLASSIC_DECONV, NUM_KEYPOINTS
from refinepose_mm.deploy import deploy

SIZE = (256, 192)
CPU = torch.device('cpu')


def mmpretrain_peers() -> dict[str, nn.Module]:
    """ViTPose-B as MMPose 1.3 configures it, with both of its heads."""
    importlib.import_module('mmpretrain')
    backbone = dict(
        type='mmpretrain.VisionTransformer', arch='base', img_size=SIZE, patch_size=16,
        qkv_bias=True, with_cls_token=False, out_type='featmap', patch_cfg=dict(padding=2))
    head = dict(type='HeatmapHead', in_channels=768, out_channels=NUM_KEYPOINTS)
    classic = dict(type='TopdownPoseEstimator', backbone=backbone,
                   head=dict(head, **CLASSIC_DECONV))
    simple = dict(
        type='TopdownPoseEstimator', backbone=backbone,
        neck=dict(type='FeatureMapProcessor', scale_factor=4., apply_relu=True),
        head=dict(head, deconv_out_channels=[], deconv_kernel_sizes=[],
                  final_layer=dict(kernel_size=3, padding=1)))
    return {'MMPose ViTPose-B': build(classic, CPU), 'MMPose ViTPose-B simple': build(simple, CPU)}


class Heatmaps(nn.Module):
    """A model of transformers as a function from images to heatmaps."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model(pixel_values=images).heatmaps


def transformers_peers() -> dict[str, nn.Module]:
    """VitPose-base of Hugging Face, with both of its decoders."""
    transformers = importlib.import_module('transformers')
    backbone = transformers.VitPoseBackboneConfig(
        image_size=SIZE, patch_size=(16, 16), hidden_size=768, num_hidden_layers=12,
        num_attention_heads=12, out_indices=[12])
    found = {}
    for name, simple in (('classic', False), ('simple', True)):
        config = transformers.VitPoseConfig(
            backbone_config=backbone, num_labels=NUM_KEYPOINTS, use_simple_decoder=simple)
        found[f'transformers VitPose-base {name}'] = Heatmaps(
            transformers.VitPoseForPoseEstimation(config)).eval()
    return found


PEERS = dict(mmpretrain=mmpretrain_peers, transformers=transformers_peers)


def forward_of(model: nn.Module, batch: int) -> Callable[[], Tensor]:
    """The forward pass of a pose estimator, or of a function of images."""
    if not isinstance(model, Heatmaps):
        return make_task('forward', model, batch, SIZE, torch.float32)
    images = torch.randn(batch, 3, *SIZE)
    return torch.no_grad()(lambda: model(images))


def through_onnx(model: nn.Module, path: Path) -> Callable[[np.ndarray], list[np.ndarray]]:
    """The same exporter and engine for everybody: ONNX by torch, run by ONNX Runtime."""
    import onnxruntime
    if not isinstance(model, Heatmaps):
        model = _Tensor(model)
    torch.onnx.export(model, (torch.randn(2, 3, *SIZE), ), dynamo=True, opset_version=18,
                      input_names=['images'], verbose=False,
                      dynamic_shapes=({0: torch.export.Dim('batch', min=1)}, )).save(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    return lambda images: session.run(None, dict(images=images))


class _Tensor(nn.Module):
    """A pose estimator of MMPose as a function from images to heatmaps."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images, None, mode='tensor')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--peer', choices=PEERS, required=True)
    parser.add_argument('--batch', nargs='+', type=int, default=[1, 8])
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--exported', action='store_true', help='compare ONNX files, too')
    parser.add_argument('--output', type=Path, help='write all timings to this json file')
    args = parser.parse_args()
    init_default_scope('mmpose')
    try:
        models = PEERS[args.peer]()
    except ImportError as error:
        sys.exit(f'error: {args.peer} does not import ({error}); the docstring of '
                 f'{Path(__file__).name} says how to install it')
    for name, config in variants('base', SIZE).items():
        models[f'ours: {name}'] = build(config, CPU)
    for name in ('ViTPose', 'RefinePose', 'RefinePose taper'):
        models[f'ours: {name}, deploy'] = deploy(models[f'ours: {name}'])
    print(f'{device_name(CPU)}, {torch.get_num_threads()} threads, torch {torch.__version__}, '
          f'matrix products at {matmul_rate(CPU, torch.float32) / 1e9:.0f} GMAC/s')
    results = []
    with tempfile.TemporaryDirectory() as folder:
        engines = {}
        if args.exported:
            engines = {f'{name}, onnx': through_onnx(model, Path(folder) / f'{number}.onnx')
                       for number, (name, model) in enumerate(models.items())
                       if not name.endswith('deploy')}
        for batch in args.batch:
            images = np.random.default_rng(0).normal(size=(batch, 3, *SIZE)).astype(np.float32)
            functions = {name: forward_of(model, batch) for name, model in models.items()}
            functions.update({name: lambda engine=engine, images=images: engine(images)
                              for name, engine in engines.items()})
            result = dict(task='forward', batch=batch, img_size=SIZE, dtype='fp32',
                          seconds=compare(functions, args.rounds, CPU))
            results.append(result)
            print(f'\nbatch {batch}\n\n{report.table(result)}', flush=True)
    if args.output:
        args.output.write_text(json.dumps(results, indent=1))


if __name__ == '__main__':
    main()
