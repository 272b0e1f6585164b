"""`refinepose quantize`: an OpenVINO file in 8-bit integers, after training, by NNCF."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from mmengine.config import Config
from mmpose.registry import DATASETS
from tqdm import tqdm

from ..files import refuse_inputs, replacing, require_folder
from .config import TEST_DATA, TRAIN_DATA, explained, load_config, reason, require_file
from .formats import openvino_metadata, require, write_openvino
from .metadata import KEY, from_text, to_text

if TYPE_CHECKING:
    import openvino

PACKAGES = ('openvino', 'nncf')


def calibration_images(config: Config, count: int) -> list[np.ndarray]:
    """Crops (1, 3, H, W) of training persons, evenly taken, prepared as for testing.

    Raises:
        FileNotFoundError: If the training data are not there.
    """
    load_config(config, TRAIN_DATA, f'{TEST_DATA}.pipeline')
    with explained(f'training data of {config.filename or "the config"} cannot be read'):
        dataset = DATASETS.build(dict(config.train_dataloader.dataset,
                                      pipeline=config.test_dataloader.dataset.pipeline))
        chosen = np.linspace(0, len(dataset) - 1, min(count, len(dataset))).round().astype(int)
        with tqdm(chosen.tolist(), desc='calibration persons') as indices:
            return [dataset[index]['inputs'][None].float().numpy() for index in indices]


def quantize(source: str | Path, target: str | Path, images: list[np.ndarray]) -> None:
    """Write an OpenVINO file that computes in 8-bit integers, except for the inputs of pooling.

    In 8 bits many pooling windows tie, so positions collapse to the first pixel, which costs six
    points of PCK. The convolutions that feed a pooling therefore stay in single precision.

    Args:
        source: What ``refinepose export --format openvino`` wrote.
        target: Where to write, ending in .xml.
        images: Inputs (1, 3, H, W) whose activations give the ranges, some hundreds.

    Raises:
        ValueError: If one of the files is not .xml, both are the same, there are no images, or the
            source is broken or takes no such images.
        OSError: If the target cannot be written.
        ImportError: If OpenVINO or NNCF are missing; the message says how to install them.
    """
    _require_xml(source, target)
    if not images:
        raise ValueError('quantisation needs calibration images, got none')
    inputs = [source, Path(source).with_suffix('.bin')]
    refuse_inputs(target, inputs)
    require_folder(target)
    require(PACKAGES)
    import nncf
    model = _read_model(source)
    text = openvino_metadata(model)
    pooled = [operation.input_value(0).get_node() for operation in model.get_ordered_ops()
              if operation.get_type_name() == 'MaxPool']
    with explained(f'{source} cannot be quantised'):
        model = nncf.quantize(
            model, nncf.Dataset(images), subset_size=len(images),
            model_type=nncf.ModelType.TRANSFORMER,
            ignored_scope=nncf.IgnoredScope(names=[node.get_friendly_name() for node in pooled]))
    if text is not None:
        metadata = from_text(text, Path(source))
        metadata.pop('certificate', None)  # it is the source's
        model.set_rt_info(to_text(metadata), KEY)
    with replacing(target, inputs) as temporary:
        write_openvino(model, temporary)


def _require_xml(*paths: str | Path) -> None:
    for path in paths:
        if Path(path).suffix != '.xml':
            raise ValueError(f'OpenVINO files (.xml) are quantised, got {path}')


def _read_model(path: str | Path) -> openvino.Model:
    import openvino
    try:
        return openvino.Core().read_model(path)
    except RuntimeError as error:
        raise ValueError(f'{path} is not a complete exported model: {reason(error)}') from None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `refinepose quantize`."""
    parser.add_argument('config', help='config of the model, whose training data calibrate')
    parser.add_argument('file', help='what `refinepose export --format openvino` wrote')
    parser.add_argument('--persons', type=int, default=300, help='training persons to calibrate by')
    parser.add_argument('--output', help='default: the file\'s name with _int8')


def run(args: argparse.Namespace) -> int:
    """Quantise, and say what to do next."""
    config = load_config(args.config, TRAIN_DATA, TEST_DATA)
    require_file(args.file)
    if args.persons < 1:
        raise ValueError(f'--persons must be at least 1, got {args.persons}')
    require(PACKAGES)
    output = args.output
    if output is None:
        output = str(Path(args.file).with_suffix('')) + '_int8.xml'
    _require_xml(args.file, output)
    refuse_inputs(output, [args.config, args.file])
    require_folder(output)
    _read_model(args.file)  # before minutes of work
    quantize(args.file, output, calibration_images(config, args.persons))
    print(f'wrote {output}\nWhat it costs: refinepose test {args.config} {output}')
    return 0
