"""Write the bundled demonstration model, config and weights, from its training.

    python projects/demo_model/bundle.py work_dirs/refinepose_demo_lspet/epoch_48_calibrated.pth

The config is written out in full, without data, so that it needs neither this folder nor photos.
"""

from __future__ import annotations

import sys
from pathlib import Path
from pprint import pformat

import torch
from mmengine.config import Config

from refinepose_mm.bundled import DEMO, bundled
from refinepose_mm.checkpoints import open_checkpoint, write_checkpoint
from refinepose_mm.deploy.calibration import KEY

TRAINING = Path(__file__).with_name('refinepose_demo_lspet.py')
HEADER = '"""The demonstration model; projects/demo_model/bundle.py writes this file."""\n'
KEPT = ('custom_imports', 'default_scope', 'data_mode', 'dataset_type', 'codec', 'model')
FOOTER = """
test_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_mode=data_mode,
        metainfo=metainfo,
        pipeline=pipeline,
        test_mode=True))
"""


def bundled_config() -> str:
    """The training config without its data, as the text of a config."""
    training = Config.fromfile(TRAINING)
    values = {name: training[name] for name in KEPT}
    values['metainfo'] = Config.fromfile(training.metainfo.from_file).dataset_info
    values['pipeline'] = training.val_pipeline
    lines = [f'{name} = {pformat(value, width=90, sort_dicts=False)}'
             for name, value in Config(values).to_dict().items()]
    return HEADER + '\n'.join(lines) + FOOTER


def halved(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights with matrices and kernels in float16; vectors, such as variances, stay exact."""
    return {name: value.half() if value.is_floating_point() and value.ndim > 1 else value
            for name, value in weights.items()}


def main(checkpoint: str) -> None:
    """Write both files into the package."""
    files = bundled(DEMO)
    files.config.write_text(bundled_config(), encoding='utf-8')
    weights, meta = open_checkpoint(checkpoint)
    about = dict(model='RefinePose', data='LSP-Extended', card=files.card.name)
    if KEY in meta:
        about[KEY] = meta[KEY]
    write_checkpoint(files.weights, halved(weights), about, [checkpoint])
    for path in files[:2]:
        print(f'wrote {path}, {path.stat().st_size / 1e6:.1f} MB')


if __name__ == '__main__':
    main(sys.argv[1])
