"""Each repair in a fresh interpreter, where the state of imports is known."""

import pickle
import subprocess
import sys
import textwrap
import zipfile

import numpy as np
import pytest
import torch

from refinepose_mm import compat
from refinepose_mm.compat import nms

compat.repair()


def in_fresh_python(code, **environment):
    result = subprocess.run([sys.executable, '-W', 'ignore', '-c', textwrap.dedent(code)],
                            capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def greedy_nms(boxes, scores, threshold, offset):
    """Non-maximum suppression as its definition says, box by box."""
    kept = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        for j in kept:
            x1, y1 = max(boxes[i][0], boxes[j][0]), max(boxes[i][1], boxes[j][1])
            x2, y2 = min(boxes[i][2], boxes[j][2]), min(boxes[i][3], boxes[j][3])
            overlap = max(x2 - x1 + offset, 0) * max(y2 - y1 + offset, 0)
            area = sum((b[2] - b[0] + offset) * (b[3] - b[1] + offset)
                       for b in (boxes[i], boxes[j]))
            if overlap / (area - overlap) > threshold:
                break
        else:
            kept.append(i)
    return kept


@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('threshold', [.3, .7])
def test_nms_equals_its_definition(offset, threshold):
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(60, 2, generator=generator) * 15
    boxes = torch.cat([corners, corners + 5 + torch.rand(60, 2, generator=generator) * 30], 1)
    scores = torch.rand(60, generator=generator)
    expected = greedy_nms(boxes.tolist(), scores.tolist(), threshold, offset)
    assert 1 < len(expected) < 60
    assert nms(boxes, scores, threshold, offset).tolist() == expected


def test_nms_of_no_boxes():
    assert nms(torch.zeros(0, 4), torch.zeros(0), .5).shape == (0, )


def test_import_is_silent_and_registers():
    """Silent for whoever imports, and enough to build the modules by their names."""
    code = '''
    import io, contextlib
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        import refinepose_mm
    assert out.getvalue() == '', out.getvalue()
    from mmpose.registry import KEYPOINT_CODECS, MODELS, TRANSFORMS
    for name in ('GradualEmbedding', 'PatchEmbedding', 'ShortcutViT', 'FusionHead'):
        assert MODELS.get(name), name
    assert TRANSFORMS.get('ZeroBasedJoints') and KEYPOINT_CODECS.get('BatchedUDPHeatmap')
    '''
    in_fresh_python(code)


def test_missing_operators_explain_themselves():
    out = in_fresh_python('''
    import refinepose_mm.compat, sys
    import mmcv.ops
    module = sys.modules['mmcv._ext']
    if isinstance(module, refinepose_mm.compat._MissingOperators):
        from mmengine.utils.dl_utils.misc import mmcv_full_available
        assert not mmcv_full_available()
        assert not hasattr(module, '__path__') and not hasattr(module, 'pytest_plugins')
        try:
            module.roi_align_forward()
        except RuntimeError as error:
            print(error)
    else:
        print("operator 'roi_align_forward' pip install")
    ''')
    assert "operator 'roi_align_forward'" in out and 'pip install' in out


@pytest.mark.parametrize('first', ['refinepose_mm', 'mmpose.apis'])
def test_the_box_of_a_whole_photo_is_upright(tmp_path, first):
    from PIL import Image
    path = tmp_path / 'photo.jpg'
    exif = Image.Exif()
    exif[274] = 6  # turned by 90 degrees
    Image.new('RGB', (60, 40)).save(path, exif=exif)
    out = in_fresh_python(f'''
    import refinepose_mm.compat
    refinepose_mm.compat.repair()
    import {first}, refinepose_mm, mmpose.apis.inference as inference
    import PIL.Image
    PIL.Image.MAX_IMAGE_PIXELS = 9  # Pillow itself refuses twice as many
    print(inference.Image.open({str(path)!r}).size)
    ''')
    assert out.strip().splitlines()[-1] == '(40, 60)'


def test_a_full_mmcv_is_left_alone():
    assert in_fresh_python('''
    import importlib.machinery, sys, types
    class Full(types.ModuleType):
        def __getattr__(self, name):  # has every operator that mmcv.ops looks up
            if name.startswith('__'):
                raise AttributeError(name)
    full = Full('mmcv._ext')
    full.__spec__ = importlib.machinery.ModuleSpec('mmcv._ext', loader=object())
    sys.modules['mmcv._ext'] = full
    from refinepose_mm import compat
    print('mmcv._ext' in compat.repair(), sys.modules['mmcv._ext'] is full)
    ''') == 'False True'


def test_repairing_twice_changes_nothing():
    assert in_fresh_python('''
    import sys
    from refinepose_mm import compat
    lines = compat.repair()  # importing alone repairs nothing
    first = sys.modules.get('mmcv._ext')  # a complete mmcv is not imported yet
    assert compat.repair() == lines
    print(sys.modules.get('mmcv._ext') is first)
    ''') == 'True'


def test_mmengine_checkpoints_load_with_weights_only(tmp_path):
    path = tmp_path / 'checkpoint.pth'
    in_fresh_python(f'''
    import numpy, torch
    from mmengine.logging import HistoryBuffer
    content = dict(history=HistoryBuffer([1., 2.], [1, 1]), scalar=numpy.float64(3.),
                   array=numpy.arange(3), state_dict={{}})
    torch.save(content, {str(path)!r})
    ''')
    assert in_fresh_python(f'''
    import refinepose_mm
    from mmengine.runner import load_checkpoint
    from torch import nn
    loaded = load_checkpoint(nn.Identity(), {str(path)!r})
    print(loaded['history'].mean(), loaded['scalar'], loaded['array'].tolist())
    ''').splitlines()[-1] == '1.5 3.0 [0, 1, 2]'


def test_checkpoints_of_the_other_numpy_load_too(tmp_path):
    """numpy 2 moved numpy.core to numpy._core, and pickles name one or the other."""
    torch.save(dict(scalar=np.float64(3.), array=np.arange(3)), tmp_path / 'here.pth')
    old, new = b'numpy.core.multiarray', b'numpy._core.multiarray'
    with zipfile.ZipFile(tmp_path / 'here.pth') as here, \
            zipfile.ZipFile(tmp_path / 'there.pth', 'w') as there:
        for name in here.namelist():
            content = here.read(name)
            if name.endswith('data.pkl'):
                assert (old in content) != (new in content)
                content = content.replace(*((old, new) if old in content else (new, old)))
            there.writestr(name, content)
    loaded = torch.load(tmp_path / 'there.pth', weights_only=True)
    assert loaded['scalar'] == 3 and loaded['array'].tolist() == [0, 1, 2]


@pytest.mark.parametrize('value, message', [
    (subprocess.Popen, 'Popen'),
    (textwrap.TextWrapper.fill, 'TextWrapper'),  # pickled with getattr
    (np.ndarray.tofile, 'getattr.*tofile'),  # with getattr of an allowed class
])
def test_other_pickles_stay_refused(tmp_path, value, message):
    path = tmp_path / 'checkpoint.pth'
    torch.save(dict(value=value), path)
    with pytest.raises(pickle.UnpicklingError, match=message):
        torch.load(path, weights_only=True)


def test_mmdet_detects_without_compiled_operators():
    """RTMDet with random weights: mmdet imports, and its boxes went through the NMS above."""
    pytest.importorskip('mmdet')
    assert in_fresh_python('''
    import refinepose_mm
    import os, sys
    import numpy as np
    import torch
    import mmdet
    from mmdet.apis import inference_detector, init_detector
    from mmengine.config import Config
    calls = []
    nms = sys.modules['mmcv._ext'].nms
    def counted(*args, **keywords):
        calls.append(keywords)
        return nms(*args, **keywords)
    sys.modules['mmcv._ext'].nms = counted
    folder = os.path.join(os.path.dirname(mmdet.__file__), '.mim', 'configs')
    config = Config.fromfile(f'{folder}/rtmdet/rtmdet_tiny_8xb32-300e_coco.py')
    config.model.backbone.init_cfg = None
    config.model.bbox_head.num_classes = 1
    config.model.test_cfg.update(nms_pre=100, score_thr=0.)  # random weights score low
    config.test_dataloader.dataset.pipeline[1].scale = (64, 64)
    config.test_dataloader.dataset.pipeline[2].size = (64, 64)
    torch.manual_seed(0)  # some random weights find nothing but empty boxes
    detector = init_detector(config, device='cpu')
    photo = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    boxes = inference_detector(detector, photo).pred_instances
    print(len(boxes) > 0, calls)
    ''').splitlines()[-1].startswith("True [{'iou_threshold': 0.65, 'offset': 0}]")


BROKEN = 'raise ValueError("numpy.dtype size changed, may indicate binary incompatibility")'


def without(folder, **packages):
    """Code that puts broken packages ahead of the installed ones."""
    for name, code in packages.items():
        (folder / name).mkdir()
        (folder / name / '__init__.py').touch()
        (folder / name / 'mask.py').write_text(code)
    return f"import sys; sys.path.insert(0, {str(folder)!r})"


@pytest.mark.parametrize('code, reason', [(BROKEN, 'does not import'), (None, 'is missing')])
def test_pycocotools_stands_in_for_xtcocotools(tmp_path, code, reason):
    """Built for another numpy (jin-s13/xtcocoapi#45), or not there at all."""
    broken = without(tmp_path, xtcocotools=code) if code else (
        'import sys; sys.meta_path.insert(0, Hide())')
    assert in_fresh_python(f'''
    class Hide:
        def find_spec(self, name, path, target=None):
            if name.split('.')[0] == 'xtcocotools':
                raise ModuleNotFoundError(name=name)
    {broken}
    from refinepose_mm import compat
    line = compat.repair()['xtcocotools']
    assert compat.repair()['xtcocotools'] == line
    import importlib.util, xtcocotools.mask as mask
    from xtcocotools.coco import COCO
    from xtcocotools import cocoeval
    assert importlib.util.find_spec('xtcocotools') and mask.decode and COCO.loadRes
    from mmpose.evaluation import CocoMetric
    from mmpose.evaluation.metrics import coco_metric
    assert coco_metric.COCO is COCO and coco_metric.COCOeval is cocoeval.COCOeval
    print(line)
    ''') == f'xtcocotools {reason}; pycocotools evaluates in its place'


def test_an_xtcocotools_that_imports_is_left_alone():
    if 'xtcocotools' in compat.repair():
        pytest.skip('no xtcocotools that imports')
    assert in_fresh_python('''
    from refinepose_mm import compat
    print('xtcocotools' in compat.repair())
    import xtcocotools.coco
    assert xtcocotools.coco.__file__.endswith('xtcocotools/coco.py')
    ''') == 'False'
