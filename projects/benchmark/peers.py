"""RefinePose against Hugging Face's VitPose and MMPose's RTMPose-m, in one process and in turns.

    # In an environment without mmpretrain, which does not import beside transformers 5.
    pip install -r requirements/peers_transformers.txt -c requirements/lock.txt
    pip install -r requirements/export.txt -c requirements/lock.txt  # for --exported
    python projects/benchmark/peers.py --exported

MMPose's own ViTPose is a model of `refinepose benchmark`. All weights are random, which take as
long as trained ones.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Callable, Union

import mmpose
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS
from torch import Tensor, nn

from refinepose_mm.benchmark import report
from refinepose_mm.benchmark.case import build, variants
from refinepose_mm.benchmark.measure import compare, machine, product_rates
from refinepose_mm.benchmark.tasks import NUM_KEYPOINTS
from refinepose_mm.deploy.devices import onnx_options, onnx_session
from refinepose_mm.deploy.export import export
from refinepose_mm.deploy.fold import deploy
from refinepose_mm.deploy.formats import load_exported

SIZE = (256, 192)
CPU = torch.device('cpu')
RTMPOSE = 'body_2d_keypoint/rtmpose/coco/rtmpose-m_8xb256-420e_coco-256x192.py'
Output = Union[Tensor, tuple[Tensor, ...]]
OURS = ('ViTPose', 'RefinePose', 'RefinePose taper')


class Forward(nn.Module):
    """A model as a function from normalised images (B, 3, H, W) to its heatmaps or SimCC vectors.

    Args:
        network: The model.
        call: How it is called.
    """

    def __init__(self, network: nn.Module, call: Callable[[nn.Module, Tensor], Output]):
        super().__init__()
        self.network, self.call = network.eval(), call

    def forward(self, images: Tensor) -> Output:
        return self.call(self.network, images)


def peers() -> dict[str, nn.Module]:
    """VitPose-base of Hugging Face, with both of its decoders."""
    transformers = importlib.import_module('transformers')
    backbone = transformers.VitPoseBackboneConfig(
        image_size=SIZE, patch_size=(16, 16), hidden_size=768, num_hidden_layers=12,
        num_attention_heads=12, out_indices=[12])
    return {
        f'transformers VitPose-base {name}': Forward(
            transformers.VitPoseForPoseEstimation(transformers.VitPoseConfig(
                backbone_config=backbone, num_labels=NUM_KEYPOINTS, use_simple_decoder=simple)),
            lambda network, images: network(pixel_values=images).heatmaps)
        for name, simple in (('classic', False), ('simple', True))}


def rtmpose() -> nn.Module:
    """RTMPose-m by MMPose's own config, as far as its vectors of x and y (SimCC)."""
    config = Config.fromfile(Path(mmpose.__file__).parent / '.mim' / 'configs' / RTMPOSE).model
    for key in ('init_cfg', '_scope_'):  # no download; MMPose has this backbone, too
        config.backbone.pop(key)
    return Forward(MODELS.build(config),
                   lambda network, images: network.head(network.backbone(images)))


def through_onnx(model: nn.Module, path: Path) -> Callable[[np.ndarray], list[np.ndarray]]:
    """A peer in ONNX Runtime, by torch's exporter; `refinepose export` writes ours."""
    torch.onnx.export(model, (torch.randn(2, 3, *SIZE), ), dynamo=True, opset_version=18,
                      input_names=['images'], verbose=False,
                      dynamic_shapes=({0: torch.export.Dim('batch', min=1)}, )).save(path)
    session = onnx_session(str(path), 'cpu', onnx_options())
    return lambda images: session.run(None, dict(images=images))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--batch', nargs='+', type=int, default=[1, 8])
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--exported', action='store_true', help='compare ONNX files, too')
    parser.add_argument('--output', type=Path, help='write all timings to this json file')
    args = parser.parse_args()
    init_default_scope('mmpose')
    try:
        others = {**peers(), 'MMPose RTMPose-m': rtmpose()}
    except ImportError as error:
        sys.exit(f'error: transformers does not import ({error}); the docstring of '
                 f'{Path(__file__).name} says how to install it')
    configs = variants('base', SIZE)
    ours = {name: build(configs[name], CPU) for name in OURS}
    ours.update({f'{name}, deploy': deploy(model) for name, model in ours.items()})
    models = {**others, **{name: Forward(model, lambda network, images: network(images, None))
                           for name, model in ours.items()}}
    where, rates = machine(CPU), product_rates(CPU, torch.float32)
    print(', '.join(f'{key} {value}' for key, value in where.items()))
    print(report.rates(rates))
    results = []
    with tempfile.TemporaryDirectory() as folder:
        engines = {}
        if args.exported:
            engines = {f'{name}, onnx': through_onnx(model, Path(folder) / f'{number}.onnx')
                       for number, (name, model) in enumerate(others.items())}
            for name in OURS:
                file = Path(folder) / f'{name}.onnx'
                export(ours[name], file)
                engines[f'{name}, onnx'] = load_exported(file, 'f32', trust=True)
        for batch in args.batch:
            images = torch.randn(batch, 3, *SIZE)
            functions = {name: torch.no_grad()(lambda model=model, images=images: model(images))
                         for name, model in models.items()}
            functions.update({
                name: lambda engine=engine, images=images.numpy(): engine(images)
                for name, engine in engines.items()})
            result = dict(task='forward', batch=batch, img_size=SIZE, dtype='fp32', rates=rates,
                          seconds=compare(functions, args.rounds, CPU))
            results.append(result)
            print(f'\nbatch {batch}\n\n{report.table(result)}', flush=True)
    if args.output:
        args.output.write_text(json.dumps(dict(machine=where, results=results), indent=1))


if __name__ == '__main__':
    main()
