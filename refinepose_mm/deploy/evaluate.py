"""`refinepose test`: the metrics of a checkpoint or of an exported file, on its config's data."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from torch import Tensor, nn

from ..engine.preflight import in_one_line, problems_of
from .calibration import from_dict
from .config import DECODER, TEST_DATA, explained, load_config, require_file
from .formats import is_exported, load_exported
from .metadata import require_fit
from .network import load_weights
from .outputs import require_outputs


@MODELS.register_module()
class ExportedFile(nn.Module):
    """An exported file in place of a backbone; its features are its outputs.

    Args:
        path: A file that ``refinepose export`` wrote.
        precision: As for :func:`~refinepose_mm.deploy.formats.load_exported`.
        trust: As for :func:`~refinepose_mm.deploy.formats.load_exported`.

    Shapes: images (B, 3, H, W), 0 to 255, BGR -> heatmaps (B, K, H/4, W/4), or keypoints (B, K, 2)
    and scores (B, K).
    """

    def __init__(self, path: str, precision: str = 'f32', trust: bool = False):
        super().__init__()
        self.engine = load_exported(path, precision, trust)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(map(torch.from_numpy, self.engine(np.ascontiguousarray(images.numpy()))))


class DecodedKeypoints(nn.Module):
    """In place of a head, after a file that was exported with ``--decode``."""

    def predict(self, features: tuple[Tensor, Tensor], data_samples: list,
                test_cfg: dict) -> list[InstanceData]:
        """Keypoints (1, K, 2) in pixels of the crop and scores (1, K), of each person."""
        return [InstanceData(keypoints=keypoints[None], keypoint_scores=scores[None])
                for keypoints, scores in zip(*(output.numpy() for output in features))]


def exported_config(config: Config, path: str | Path, precision: str = 'f32',
                    trust: bool = False) -> Config:
    """A config whose model is the exported file; data, flip test, codec and metrics stay."""
    config = config.copy()
    keypoints = config.model.head.out_channels
    config.model = dict(
        type=config.model.type,
        data_preprocessor=dict(type='PoseDataPreprocessor'),  # the file normalises
        backbone=dict(type='ExportedFile', path=str(path), precision=precision, trust=trust),
        head=dict(type='HeatmapHead', in_channels=keypoints, out_channels=keypoints,
                  deconv_out_channels=None, final_layer=None, decoder=config.model.head.decoder),
        test_cfg=config.model.get('test_cfg'))
    return config


def evaluate(config: Config, weights: str | Path, precision: str = 'f32',
             work_dir: str = 'work_dirs/test', trust: bool = False) -> dict[str, float]:
    """The metrics that the config names, on the config's test data.

    A file that was exported with ``--decode`` is scored without flip test, which needs heatmaps.

    Args:
        config: Config of the model.
        weights: A checkpoint, or an exported file.
        precision: For exported files, see
            :func:`~refinepose_mm.deploy.formats.load_exported`.
        work_dir: For the log.
        trust: For exported files, see there.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If the config or its data are not well, or the weights are not of this model.
    """
    runner = test_runner(config, weights, precision, work_dir, trust)
    with explained(f'{config.filename or "the config"} cannot be evaluated'):
        return runner.test()


def test_runner(config: Config, weights: str | Path, precision: str = 'f32',
                work_dir: str = 'work_dirs/test', trust: bool = False) -> Runner:
    """A runner that is ready to test; arguments and errors are those of :func:`evaluate`.

    Its model has the weights' ``calibration``, or None. Metrics rank by heights all the same.
    """
    exported = is_exported(weights)
    load_config(config, 'test_evaluator', f'{TEST_DATA}.type',
                *([DECODER, 'model.head.out_channels'] if exported else []))
    problems = problems_of(config, ['test'])
    if problems:
        raise ValueError(in_one_line(problems))
    given = config
    config = exported_config(config, weights, precision, trust) if exported else config.copy()
    config.work_dir = work_dir
    config.load_from, config.resume, config.launcher = None, False, 'none'
    with explained(f'{config.filename or "the config"} cannot be evaluated'):
        runner = Runner.from_cfg(config)
    if exported:
        _prepare(runner.model, given)
    else:
        load_weights(runner.model, weights)  # all; MMEngine only logs what does not fit
    return runner


def _prepare(model: nn.Module, config: Config) -> None:
    """Compare a file with the config, and take its keypoints as they are if it decodes."""
    file = model.backbone.engine
    require_fit(file.metadata, config, file.path)
    calibration = (file.metadata or {}).get('calibration')
    model.calibration = calibration and from_dict(calibration, file.path)
    require_outputs(file, config)
    if file.gives_heatmaps:
        return
    model.head = DecodedKeypoints()
    if model.test_cfg.get('flip_test', False):
        print(f'{file.path} outputs keypoints, so there is no flip test: it needs heatmaps',
              flush=True)
        model.test_cfg = dict(model.test_cfg, flip_test=False)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `refinepose test`."""
    parser.add_argument('config', help='config of the model, with its test data and metrics')
    parser.add_argument('weights', help='checkpoint, or exported model (.onnx, .xml or .pt2)')
    parser.add_argument('--precision', default='f32', choices=('f32', 'bf16'),
                        help='bf16: for OpenVINO files on CPUs that support it')
    parser.add_argument('--trust', action='store_true',
                        help='load a .pt2 file, which can execute code of its own')
    parser.add_argument('--work-dir', default='work_dirs/test', help='folder of the log')


def run(args: argparse.Namespace) -> int:
    """Evaluate, and print the metrics."""
    config = load_config(args.config, 'test_evaluator', TEST_DATA)
    require_file(args.weights)
    if args.precision != 'f32' and not is_exported(args.weights):
        raise ValueError(f'--precision {args.precision} is for OpenVINO files (.xml), got '
                         f'{args.weights}')
    metrics = evaluate(config, args.weights, args.precision, args.work_dir,
                       args.trust)
    for name, value in metrics.items():
        print(f'{name}: {value:.6f}')
    return 0
