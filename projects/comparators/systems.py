"""The systems of Tables 1 and 2 that MMPose has, its RTMPose, and ours: configs and figures."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import mmpose
import yaml
from mmengine.config import Config

ROOT = Path(__file__).parents[2]
MMPOSE = Path(mmpose.__file__).parent / '.mim/configs'
HEATMAP = 'body_2d_keypoint/topdown_heatmap'


class Row(NamedTuple):
    """A system.

    Attributes:
        name: As in the paper.
        config: Within MMPose's configs; of this repository if it starts with ``configs/``.
        paper: What the paper says: AP and AR on COCO val, or the mean PCKh on MPII; None if it
            does not.
        note: How the config differs from the paper's row.
    """

    name: str
    config: str
    paper: tuple[float | None, ...] = ()
    note: str = ''

    def load(self) -> Config:
        """The config."""
        folder = ROOT if self.config.startswith('configs/') else MMPOSE
        return Config.fromfile(folder / self.config)

    def published(self) -> dict:
        """MMPose's entry for the config: ``Weights``, an URL, and ``Results``; {} for ours."""
        if self.config.startswith('configs/'):
            return {}
        for path in sorted((MMPOSE / self.config).parent.glob('*.yml')):
            for model in yaml.safe_load(path.read_text())['Models']:
                if model['Config'] == f'configs/{self.config}':
                    return model
        raise ValueError(f'no metafile of MMPose {mmpose.__version__} has {self.config}')


ROWS = dict(
    coco=(
        Row('HigherHRNet, HRNet-W48', 'body_2d_keypoint/associative_embedding/coco/'
            'ae_hrnet-w32_8xb24-300e_coco-512x512.py', (72.1, None),
            'nearest in MMPose 1.x: associative embedding on HRNet-W32, 512x512'),
        Row('DEKR, HRNet-W48', 'body_2d_keypoint/dekr/coco/'
            'dekr_hrnet-w48_8xb10-140e_coco-640x640.py', (),
            'bottom-up with HRNet-W48, not in the paper'),
        Row('SimpleBaseline, ResNet-152',
            f'{HEATMAP}/coco/td-hm_res152_8xb32-210e_coco-256x192.py', (73.5, 79.0)),
        Row('HRNet-W32', f'{HEATMAP}/coco/td-hm_hrnet-w32_8xb64-210e_coco-256x192.py',
            (74.4, 78.9)),
        Row('HRNet-W32', f'{HEATMAP}/coco/td-hm_hrnet-w32_8xb64-210e_coco-384x288.py',
            (75.8, 81.0)),
        Row('HRNet-W48', f'{HEATMAP}/coco/td-hm_hrnet-w48_8xb32-210e_coco-256x192.py',
            (75.1, 80.4)),
        Row('HRNet-W48', f'{HEATMAP}/coco/td-hm_hrnet-w48_8xb32-210e_coco-384x288.py',
            (76.3, 81.2)),
        Row('UDP, HRNet-W48', f'{HEATMAP}/coco/td-hm_hrnet-w48_udp-8xb32-210e_coco-384x288.py',
            (77.2, 82.0)),
        Row('HRFormer-B', f'{HEATMAP}/coco/td-hm_hrformer-base_8xb32-210e_coco-256x192.py',
            (75.6, 80.8)),
        Row('HRFormer-B', f'{HEATMAP}/coco/td-hm_hrformer-base_8xb32-210e_coco-384x288.py',
            (77.2, 82.0)),
        Row('CPM', f'{HEATMAP}/coco/td-hm_cpm_8xb64-210e_coco-256x192.py', (),
            'the paper has it on MPII only'),
        Row('RTMPose-m', 'body_2d_keypoint/rtmpose/coco/rtmpose-m_8xb256-420e_coco-256x192.py', (),
            'not in the paper'),
        Row('ViTPose-B', 'configs/vitpose_vitb_coco.py', (75.8, 81.1), 'ours'),
        Row('RefinePose-B', 'configs/refinepose_vitb_coco.py', (75.9, 82.1), 'ours'),
    ),
    mpii=(
        Row('CPM', f'{HEATMAP}/mpii/td-hm_cpm_8xb64-210e_mpii-368x368.py', (87.7, )),
        Row('SimpleBaseline, ResNet-152',
            f'{HEATMAP}/mpii/td-hm_res152_8xb32-210e_mpii-256x256.py', (89.0, )),
        Row('HRNet-W32', f'{HEATMAP}/mpii/td-hm_hrnet-w32_8xb64-210e_mpii-256x256.py', (90.0, )),
        Row('HRNet-W48', f'{HEATMAP}/mpii/td-hm_hrnet-w48_8xb64-210e_mpii-256x256.py', (90.1, )),
        Row('ViTPose-B', 'configs/vitpose_vitb_four_heads_mpii.py', (93.4, ),
            'ours, a head for each of four data sets'),
        Row('RefinePose-B', 'configs/refinepose_vitb_mpii.py', (93.6, ), 'ours'),
    ))
