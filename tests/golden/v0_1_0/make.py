"""Wrote files.tar.xz, run from the root of 0.1.0 with the packages of requirements/export.txt."""

import lzma
import shutil
import sys
import tarfile
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from refinepose_mm.datasets import toy_people
from refinepose_mm.deploy.export import ExportedNetwork, export, load_model
from refinepose_mm.deploy.fold import fold

sys.path.insert(0, 'tests')
from peaks import give_peaks  # noqa: E402

HERE = Path(__file__).parent
FILES = Path('golden')
CROPS = 2


def main() -> None:
    """Train for an epoch of two steps, export, and note what comes out for two crops."""
    toy_people.generate(Path('data/toy'), num_train=2, num_val=1)
    runner = Runner.from_cfg(Config.fromfile(HERE / 'config.py'))
    runner.model.init_weights()
    give_peaks(runner.model)  # a short training with a low rate leaves them
    runner.train()
    FILES.mkdir()
    checkpoint = Path(shutil.copy('work_dirs/golden/epoch_1.pth', FILES))

    model = load_model(str(HERE / 'config.py'), checkpoint).eval()
    for name, decode in (('heatmaps.onnx', False), ('keypoints.onnx', True),
                         ('heatmaps.xml', False), ('heatmaps.pt2', False)):
        print(name, export(model, FILES / name, decode))

    portraits = sorted(Path('data/toy/demo').glob('*.jpg'))[:CROPS]
    crops = np.stack([cv2.resize(cv2.imread(str(path)), (48, 64), interpolation=cv2.INTER_AREA)
                      for path in portraits])
    images = torch.from_numpy(crops).permute(0, 3, 1, 2).contiguous().float()
    with torch.no_grad():
        heatmaps = ExportedNetwork(model, decode=False)(images)
        keypoints, scores = ExportedNetwork(model, decode=True)(images)
        folded = ExportedNetwork(fold(model), decode=False)(images)
    print('folded differs by', (folded - heatmaps).abs().max())
    np.savez_compressed(FILES / 'expected.npz', crops=crops, heatmaps=heatmaps, keypoints=keypoints,
                        scores=scores)
    with tarfile.open(HERE / 'files.tar.xz', 'w:xz', preset=9 | lzma.PRESET_EXTREME) as archive:
        for path in sorted(FILES.iterdir()):
            archive.add(path, path.name, filter=without_owner)


def without_owner(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out who made the files."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ''
    return entry


if __name__ == '__main__':
    main()
