"""projects/comparators: MMPose's systems beside ours, on the same persons."""

import hashlib
import importlib.util
import json
import re
import sys

import pytest
import torch
from conftest import ROOT
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

FOLDER = ROOT / 'projects/comparators'
sys.path.insert(0, str(FOLDER))
# By its path: other projects have a run.py, too.
SPEC = importlib.util.spec_from_file_location('comparators', FOLDER / 'run.py')
comparators = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(comparators)
ROWS, Row = comparators.ROWS, comparators.Row

ALL = [(data, row) for data, rows in ROWS.items() for row in rows]
RTMPOSE = next(row for row in ROWS['coco'] if row.name == 'RTMPose-m')


@pytest.fixture
def root(coco_mini, tmp_path, monkeypatch):
    """COCO with two photos and the persons on them; a detection file with one box."""
    content = json.loads((coco_mini / 'annotations/person_keypoints_val2017.json').read_text())
    persons = [a for a in content['annotations'] if a['num_keypoints'] and not a['iscrowd']]
    content['images'] = [i for i in content['images']
                         if i['id'] in (persons[0]['image_id'], persons[-1]['image_id'])]
    kept = {image['id'] for image in content['images']}
    content['annotations'] = [a for a in persons if a['image_id'] in kept]
    folder = tmp_path / 'coco'
    (folder / 'annotations').mkdir(parents=True)
    (folder / 'annotations/person_keypoints_val2017.json').write_text(json.dumps(content))
    (folder / 'val2017').symlink_to(coco_mini / 'val2017')
    (folder / 'boxes.json').write_text(json.dumps([dict(
        image_id=persons[0]['image_id'], category_id=1, bbox=persons[0]['bbox'], score=.9)]))
    for name in ('COCO_ROOT', 'COCO_BOXES'):
        monkeypatch.setenv(name, '')  # what run.py sets ends with the test
    return folder


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, 'argv', ['run.py', *map(str, words)])
    comparators.main()


@pytest.mark.parametrize('data, row', ALL, ids=[f'{d}-{r.config[-40:]}' for d, r in ALL])
def test_every_system_builds_with_our_data(data, row, monkeypatch):
    monkeypatch.setenv(f'{data.upper()}_ROOT', '/photos')
    monkeypatch.setenv('COCO_BOXES', '/boxes.json')
    config = comparators.prepare(row, data)
    dataset = config.test_dataloader.dataset
    assert dataset.data_root == '/photos' and config.model.test_cfg.flip_test
    bottom_up = 'associative' in row.config or 'dekr' in row.config
    expected = None if bottom_up or data == 'mpii' else '/boxes.json'
    assert dataset.get('bbox_file') == expected
    assert dataset.data_mode == ('bottomup' if bottom_up else 'topdown')
    assert dataset.get('headbox_file') == (
        '/photos/annotations/mpii_gt_val.mat' if data == 'mpii' else None)
    height, width = comparators.input_size(config)
    assert f'{height}x{width}' in row.config or f'{width}x{height}' in row.config or (
        row.config.startswith('configs/'))
    init_default_scope('mmpose')
    # HRFormer computes with values as it is built.
    with torch.device('cpu' if 'hrformer' in row.config else 'meta'):
        model = MODELS.build(config.model)
    assert sum(p.numel() for p in model.parameters()) > 1e7
    if not row.config.startswith('configs/'):  # found by its hash
        assert comparators.NAME_HASH.search(row.published()['Weights'])


def test_figures_are_the_papers(photos):
    """Against the paper's own tables, where they are at hand."""
    paper = photos.parent / 'paper/refinepose.md'
    if not paper.is_file():
        pytest.skip(f'no paper at {paper}')
    text = paper.read_text()
    for data, row in ALL:
        if not row.paper:
            continue
        method, backbone = {
            'SimpleBaseline, ResNet-152': ('SimpleBaseline', 'ResNet-152'),
            'HigherHRNet, HRNet-W48': ('HigherHRNet', 'HRNet-W48'),
            'HRNet-W32': ('HRNet', 'HRNet-W32'), 'HRNet-W48': ('HRNet', 'HRNet-W48'),
            'UDP, HRNet-W48': ('UDP', 'HRNet-W48'), 'HRFormer-B': ('HRFormer', 'HRFormer-B'),
            'CPM': ('CPM', 'CPM'), 'ViTPose-B': ('ViTPose', 'ViT-B'),
            'RefinePose-B': ('RefinePose', 'ViT-B')}[row.name]
        size = re.search(r'(256x192|384x288)', row.config)
        lines = [line.split('\t') for line in text.splitlines()
                 if re.match(rf'{method}( \[\d+\])?\t{backbone}\t', line)]
        if data == 'coco':
            sized = [line for line in lines if '×' in line[2] and (
                size is None or line[2].replace(' × ', 'x') == size.group(1))]
            found = sized[0][3:5]
        else:
            found = [next(line for line in lines if '×' not in line[2])[-1]]
        assert [None if cell == '-' else float(cell) for cell in found] == list(row.paper), row


def test_weights_are_found_by_their_hash_and_checked(tmp_path, monkeypatch):
    content = b'weights'
    digest = hashlib.sha256(content).hexdigest()[:8]
    (tmp_path / 'renamed.pth').write_bytes(content)
    (tmp_path / 'refinepose_vitb_coco.safetensors').write_bytes(b'ours')
    (tmp_path / 'notes.txt').write_text('no weights')
    monkeypatch.setattr(Row, 'published', lambda self: dict(
        Weights=f'https://example.org/net-{digest}_20220913.pth')
        if self.config == RTMPOSE.config else {})
    found = comparators.Weights(tmp_path)
    assert found.of(RTMPOSE) == tmp_path / 'renamed.pth'
    ours = ROWS['coco'][-1]
    assert found.of(ours).name == 'refinepose_vitb_coco.safetensors'
    assert comparators.Weights(None).of(RTMPOSE) is None
    (tmp_path / 'net-00000000_20220913.pth').write_bytes(content)
    with pytest.raises(ValueError, match=f'its hash begins with {digest}, its name says 00000000'):
        comparators.Weights(tmp_path)
    with pytest.raises(NotADirectoryError, match='is no folder of weights'):
        comparators.Weights(tmp_path / 'renamed.pth')


def test_table_of_a_system_with_weights(root, tmp_path, monkeypatch, capsys):
    torch.manual_seed(1)
    init_default_scope('mmpose')
    weights = tmp_path / 'weights'
    weights.mkdir()
    torch.save(dict(state_dict=MODELS.build(RTMPOSE.load().model).state_dict()),
               weights / 'any name.pth')
    digest = hashlib.sha256((weights / 'any name.pth').read_bytes()).hexdigest()[:8]
    published = RTMPOSE.published()
    published['Weights'] = f'https://example.org/rtmpose-{digest}_20230126.pth'
    monkeypatch.setattr(Row, 'published', lambda self: published)
    output = tmp_path / 'out'
    run(monkeypatch, '--root', root, '--boxes', root / 'boxes.json', '--weights', weights,
        '--only', 'rtmpose-m', '--output', output)
    text = (output / 'coco.md').read_text()
    assert text in capsys.readouterr().out and 'random weights' not in text
    row, = json.loads((output / 'coco.json').read_text())['rows']
    assert row['weights'] == 'any name.pth' and row['input'] == '256x192'
    assert 13e6 < row['parameters'] < 14e6 and 1.8e9 < row['macs'] < 2e9  # MMPose: 13.6 M, 1.9 G
    assert row['mmpose'] == [.746, .795] and row['milliseconds'] > 0
    assert len(row['scores']) == 2 and all(0 <= score <= 100 for score in row['scores'])
    assert '| RTMPose-m (not in the paper) | 256x192 | 13.6 M | 1.9 |' in text
    assert text.rstrip().endswith('| 74.6 | 79.5 | any name.pth |')


def test_system_that_fails_is_a_row_of_its_own(root, tmp_path, monkeypatch):
    """Weights of another system: the table says so and goes on."""
    def fail(*args):
        raise ValueError('weights are not of this config\nand more')
    monkeypatch.setattr(comparators, 'run_row', fail)
    run(monkeypatch, '--root', root, '--boxes', 'gt', '--only', 'rtmpose-m', '--output', tmp_path)
    text = (tmp_path / 'coco.md').read_text()
    assert '| does not run: weights are not of this config |' in text
    assert 'have random weights' not in text


@pytest.mark.parametrize('words, message', [
    (['--root', 'nowhere'], 'error: nowhere is no folder of coco'),
    (['--root', '.', '--only', 'resnet-1000'], 'error: --only resnet-1000 fits none of: ae_hrnet')])
def test_mistakes_are_one_line(words, message, tmp_path, monkeypatch):
    for name in ('COCO_ROOT', 'COCO_BOXES'):
        monkeypatch.setenv(name, '')
    with pytest.raises(SystemExit, match=message):
        run(monkeypatch, *words, '--output', tmp_path)
