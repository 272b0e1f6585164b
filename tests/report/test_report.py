"""`refinepose report`: the page says what `refinepose test` says, and opens in a browser."""

from __future__ import annotations

import base64
import html.parser
import json
import re
import shutil
import subprocess
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import torch
from conftest import ROOT
from mmengine.config import Config
from mmpose.apis import init_model
from peaks import give_peaks

from refinepose_mm import cli
from refinepose_mm.datasets import toy_people
from refinepose_mm.deploy.calibrate import write
from refinepose_mm.deploy.calibration import Calibration, Knots
from refinepose_mm.report.collect import collect

CONFIG = ROOT / 'configs/refinepose_tiny_toy.py'
CHROMIUM = shutil.which('chromium') or shutil.which('google-chrome')
MOST_BYTES = 15e6


@pytest.fixture(scope='module')
def toy(tmp_path_factory):
    """Toy people, and two checkpoints; what the first one finds is the truth, but for noise."""
    folder = tmp_path_factory.mktemp('report')
    toy_people.generate(folder / 'toy', num_train=1, num_val=8)
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = init_model(str(CONFIG), device='cpu')
        if seed == 0:
            give_peaks(model)
        torch.save(dict(state_dict=model.state_dict()), folder / f'epoch_{seed}.pth')
    _follow(folder / 'toy', folder / 'epoch_0.pth')
    log = folder / '20260101_000000/vis_data/scalars.json'
    log.parent.mkdir(parents=True)
    log.write_text('\n'.join(map(json.dumps, [
        dict(loss=.3, step=10), dict(loss=.2, step=20), {'coco/AP': .1, 'step': 1},
        {'coco/AP': .2, 'step': 2}])) + '\n{"loss"')
    return folder


def _follow(root, weights):
    """Move the annotated joints to where a model finds them, more or less exactly."""
    config = Config.fromfile(CONFIG)
    path = root / 'annotations/person_keypoints_val.json'
    config.test_evaluator.ann_file = str(path)
    config.test_dataloader.update(num_workers=0, persistent_workers=False)
    config.test_dataloader.dataset.data_root = str(root)
    table = collect(config, weights).table
    data = json.loads(path.read_text())
    persons = {person['id']: person for person in data['annotations']}
    rng = np.random.default_rng(0)
    for row, number in enumerate(table.truth.ids):
        if table.match[row] >= 0:
            points = np.reshape(persons[number]['keypoints'], (-1, 3)).astype(float)
            noise = rng.choice([.01, .05, .1]) * np.sqrt(table.truth.areas[row])
            found = table.found.joints[table.match[row]] + rng.normal(0, noise, (len(points), 2))
            points[:, :2] = np.where(points[:, 2:] > 0, found.round(2), 0)
            persons[number]['keypoints'] = points.ravel().tolist()
    path.write_text(json.dumps(data))


@pytest.fixture
def config(toy, tmp_path, monkeypatch):
    """Write a config on the toy people, with changes."""
    monkeypatch.setenv('TOY_ROOT', str(toy / 'toy'))

    def write(**changes):
        loader = dict(num_workers=0, persistent_workers=False, batch_size=4,
                      **changes.pop('test_dataloader', {}))
        lines = [f'_base_ = {str(CONFIG)!r}', f'test_dataloader = {loader!r}']
        lines += [f'{name} = {value!r}' for name, value in changes.items()]
        path = tmp_path / 'config.py'
        path.write_text('\n'.join(lines))
        return str(path)
    return write


class Page(html.parser.HTMLParser):
    """Tables, headings, pictures and texts of a page."""

    def __init__(self, path):
        super().__init__()
        self.text = path.read_text(encoding='utf-8')
        self.rows, self.pictures, self.headings = [], [], []
        self.inside = ''
        self.feed(self.text)
        self.svgs = re.findall('<svg.*?</svg>', self.text, re.DOTALL)

    def handle_starttag(self, tag, attributes):
        self.inside = tag
        if tag == 'tr':
            self.rows.append([])
        if tag in ('td', 'th'):
            self.rows[-1].append('')
        if tag in ('h1', 'h2', 'h3'):
            self.headings.append('')
        if tag == 'img':
            self.pictures.append(dict(attributes))

    def handle_data(self, data):
        if self.inside in ('td', 'th'):
            self.rows[-1][-1] += data.strip()
        if self.inside in ('h1', 'h2', 'h3') and data.strip():
            self.headings[-1] += data


def report(tmp_path, *words, code=0):
    folder = tmp_path / 'out'
    assert cli.main(['report', *map(str, words), '--output', str(folder)]) == code
    if code:
        return None
    numbers = json.loads((folder / 'numbers.json').read_text())
    return Page(folder / 'report.html'), numbers


def scores_of_test(capsys, tmp_path, *words):
    capsys.readouterr()
    assert cli.main(['test', *map(str, words), '--work-dir', str(tmp_path / 'log')]) == 0
    lines = re.findall(r'^([\w@.]+/[\w .()]+): (-?\d\S*)$', capsys.readouterr().out, re.MULTILINE)
    return {name: float(value) for name, value in lines}


def require_self_contained(page):
    assert len(page.text.encode()) < MOST_BYTES
    assert '<script' not in page.text and '<link' not in page.text
    assert not re.findall(r'(?:src|href)="(?!data:image/jpeg;base64,|#)', re.sub(
        '<svg.*?</svg>', '', page.text, flags=re.DOTALL))
    for svg in page.svgs:
        ElementTree.fromstring(svg)
        assert not re.findall(r'href="(?!#)', svg)


def test_the_page_says_what_the_test_says(toy, config, tmp_path, capsys):
    path, weights = config(), toy / 'epoch_0.pth'
    page, numbers = report(tmp_path, path, weights)
    expected = scores_of_test(capsys, tmp_path, path, weights)
    assert len(expected) == 10 and .2 < expected['coco/AP'] < .8
    shown = {row[0]: row for row in page.rows if row}
    for name, value in expected.items():
        found = numbers['metrics'][name]
        assert found['value'] == pytest.approx(value, abs=1e-6), name
        assert shown[name][1] == f'{value:.3f}'
        if value >= 0:
            assert found['low'] <= value + 1e-9 and value - 1e-9 <= found['high'], name
            assert shown[name][2] == f'{found["low"]:.3f} to {found["high"]:.3f}'
    for part in (*numbers['joints'], *numbers['sizes']):
        assert [part['name'], str(part['count']), f'{100 * part["share"]["value"]:.1f}'] in [
            row[:3] for row in page.rows]
    for joint, counts in numbers['kinds'].items():
        assert [joint, *map(str, counts.values())] in page.rows
    costs = numbers['costs']
    assert costs['now'] == pytest.approx(expected['coco/AP'], abs=1e-6)
    for name, gain in costs['steps']:
        assert any(row[1:2] == [f'{gain:+.3f}'] and row[0].startswith(name) for row in page.rows)
    for one in numbers['reliability']['bins']:
        assert [str(one['count']), f'{one["score"]:.3f}'] in [row[1:3] for row in page.rows]
    assert page.headings[0].endswith(f'AP is {expected["coco/AP"]:.3f}.')
    assert {'Which joints are hard?', 'What does each kind cost?', 'Does the loss still fall?',
            'Does coco/AP still rise?'} <= set(page.headings)
    assert numbers['training']['loss'] == [[10, .3], [20, .2]]
    require_self_contained(page)


def test_pictures_are_of_the_persons_they_name(toy, config, tmp_path):
    page, _ = report(tmp_path, config(), toy / 'epoch_0.pth')
    data = json.loads((toy / 'toy/annotations/person_keypoints_val.json').read_text())
    names = {f'{person["image_id"]:012d}.jpg, annotation {person["id"]}'
             for person in data['annotations'] if person['num_keypoints']}
    count = min(30, len(names))
    assert len(page.pictures) == 2 * count
    shown = [picture['alt'].split(': OKS')[0] for picture in page.pictures]
    assert set(shown) <= names and len(set(shown[:count])) == count
    oks = [float(re.search(r'OKS (\d\.\d\d)', picture['alt'])[1]) for picture in page.pictures]
    assert oks[:count] == sorted(oks[:count])
    for picture in page.pictures:
        data = base64.b64decode(picture['src'].split(',')[1])
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert image.shape == (int(picture['height']), int(picture['width']), 3)
        assert image.std() > 10
        width = (image.shape[1] - 8) / 3  # truth, prediction, heatmap
        assert width / image.shape[0] == pytest.approx(96 / 128, abs=.01)


def test_a_calibrated_model_has_its_probabilities(toy, config, tmp_path):
    plain = collect(Config.fromfile(config()), toy / 'epoch_0.pth')
    names = tuple(plain.table.joints.names)
    half = Knots(np.array([0., 2.]), np.array([0., 1.]), np.array([0., 1.]))  # half of the height
    write(toy / 'epoch_0.pth', tmp_path / 'half.pth', Calibration(names, (half, ) * len(names), {}))
    scaled = collect(Config.fromfile(config()), tmp_path / 'half.pth')
    np.testing.assert_allclose(scaled.table.found.scores, plain.table.found.scores / 2)
    assert plain.table.found.scores.max() > .1
    assert scaled.metrics == plain.metrics


@pytest.mark.slow
def test_two_models_are_compared_on_the_same_persons(toy, config, tmp_path, capsys):
    path = config()
    page, numbers = report(tmp_path, path, toy / 'epoch_0.pth', '--against', toy / 'epoch_1.pth')
    both = [scores_of_test(capsys, tmp_path, path, toy / f'epoch_{seed}.pth') for seed in (0, 1)]
    rows = {row['name']: row for row in numbers['comparison']['rows']}
    for name in both[0]:
        row = rows[name]
        assert (row['first'], row['second']) == pytest.approx(
            (both[0][name], both[1][name]), abs=1e-6)
        if min(both[0][name], both[1][name]) >= 0:
            assert row['difference']['value'] == pytest.approx(
                both[0][name] - both[1][name], abs=2e-6)
            assert row['difference']['low'] <= row['difference']['value'] + 1e-9
    assert page.headings[0].startswith('epoch_0.pth is better than epoch_1.pth: AP ')
    assert {'On which joints do they differ?', 'Where epoch_0.pth is better'} <= set(page.headings)
    # A model does not differ from itself.
    page, numbers = report(tmp_path, path, toy / 'epoch_1.pth', '--against', toy / 'epoch_1.pth')
    assert all(row['difference'] == dict(value=0, low=0, high=0) or row['first'] < 0
               for row in numbers['comparison']['rows'])
    assert page.headings[0].startswith('No difference between ')


def test_metrics_without_ap_have_intervals_too(toy, config, tmp_path, capsys):
    """PCK by our own code, the others by the metrics' own."""
    path = config(test_evaluator=[
        dict(type='PCKAccuracy', thr=.05, norm_item='bbox', prefix='near'),
        dict(type='AUC', prefix='area'), dict(type='EPE', prefix='pixels')])
    page, numbers = report(tmp_path, path, toy / 'epoch_0.pth')
    expected = scores_of_test(capsys, tmp_path, path, toy / 'epoch_0.pth')
    assert set(expected) == {'near/PCK', 'area/AUC', 'pixels/EPE'}
    for name, value in expected.items():
        found = numbers['metrics'][name]
        assert found['value'] == pytest.approx(value, abs=1e-4)
        assert found['low'] < value < found['high']
    assert numbers['right']['name'] == numbers['costs']['score'] == 'PCK@0.05'
    costs = numbers['costs']
    assert costs['now'] + sum(gain for _, gain in costs['steps']) + costs['rest'] == (
        pytest.approx(1))
    assert 0 <= costs['rest'] < .02  # good by OKS, but not within a twentieth of the box
    require_self_contained(page)


def test_a_detectors_boxes_leave_persons_unfound(toy, config, tmp_path, capsys):
    data = json.loads((toy / 'toy/annotations/person_keypoints_val.json').read_text())
    persons = data['annotations'][1:]  # nobody finds the first
    boxes = [dict(image_id=person['image_id'], category_id=1, score=.9, bbox=[
        person['bbox'][0] + 5, *person['bbox'][1:]]) for person in persons]
    boxes.append(dict(boxes[0], score=.5, bbox=[0, 0, 40, 40]))
    (tmp_path / 'boxes.json').write_text(json.dumps(boxes))
    path = config(test_dataloader=dict(dataset=dict(bbox_file=str(tmp_path / 'boxes.json'),
                                                    filter_cfg=dict(bbox_score_thr=0.))))
    page, numbers = report(tmp_path, path, toy / 'epoch_0.pth')
    expected = scores_of_test(capsys, tmp_path, path, toy / 'epoch_0.pth')
    for name, value in expected.items():
        assert numbers['metrics'][name]['value'] == pytest.approx(value, abs=1e-6)
    assert numbers['metrics']['coco/AP']['low'] is not None
    parts = {part['name']: part['count'] for part in numbers['boxes']}
    first = data['annotations'][0]['num_keypoints']
    assert parts['not found'] == first
    assert sum(parts.values()) == sum(person['num_keypoints'] for person in data['annotations'])
    assert sum(counts['not found'] for counts in numbers['kinds'].values()) == parts['not found']
    assert 'Does it depend on the detector?' in page.headings


def test_a_file_that_decodes_has_no_heatmaps(toy, config, tmp_path, capsys):
    file = tmp_path / 'model.pt2'
    assert cli.main(['export', str(CONFIG), str(toy / 'epoch_0.pth'), '--format', 'torch-export',
                     '--decode', '--output', str(file)]) == 0
    page, numbers = report(tmp_path, config(), file, '--trust')
    assert 'and the heatmaps' not in page.text and 'what was found.' in page.text
    expected = scores_of_test(capsys, tmp_path, config(), file, '--trust')
    assert numbers['metrics']['coco/AP']['value'] == pytest.approx(expected['coco/AP'], abs=1e-6)


def test_the_bundled_model_on_a_strangers_json(photos, tmp_path, capsys):
    data = json.loads((photos / 'lspet/lspet_val.json').read_text())
    data['annotations'] = data['annotations'][:5]
    used = {person['image_id'] for person in data['annotations']}
    data['images'] = [image for image in data['images'] if image['id'] in used]
    (tmp_path / 'few.json').write_text(json.dumps(data))
    page, numbers = report(tmp_path, 'demo', '--data', tmp_path / 'few.json', '--images',
                           photos / 'lspet/val')
    assert set(numbers['metrics']) >= {'bbox@0.1/PCK', 'coco/AP'}
    assert len(page.pictures) == 10
    assert set(numbers['kinds']) >= {'left_knee', 'head_top'}
    report(tmp_path, 'demo', code=2)
    assert 'has no test data; name a json of keypoints with --data' in capsys.readouterr().err
    data['categories'][0]['keypoints'][0] = 'hoof'
    (tmp_path / 'few.json').write_text(json.dumps(data))
    report(tmp_path, 'demo', '--data', tmp_path / 'few.json', '--images', photos / 'lspet/val',
           code=2)
    assert 'has the joints hoof, right_knee, right_hip, ... (14)' in capsys.readouterr().err


@pytest.mark.parametrize(('words', 'reason'), [
    (['no.pth'], 'no.pth not found'),
    (['{0}', '--against', 'no.pth'], 'no.pth not found'),
    (['{0}', '--images', '.'], '--images is for --data'),
    (['{0}', '--against-config', 'x.py'], '--against-config is for --against'),
    (['{0}', '--data', 'no.json'], 'no.json not found'),
    (['{0}', '--precision', 'bf16'], 'is for OpenVINO files (.xml)')])
def test_what_cannot_be_reported_is_said_before_the_work(toy, config, tmp_path, capsys, words,
                                                         reason):
    report(tmp_path, config(), *(word.format(toy / 'epoch_0.pth') for word in words), code=2)
    assert reason in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('place', ['data', 'config'])
def test_the_annotations_are_never_replaced(toy, config, tmp_path, capsys, place):
    folder = tmp_path / 'out'
    folder.mkdir()
    annotations = toy / 'toy/annotations/person_keypoints_val.json'
    before = annotations.read_bytes()
    (folder / 'numbers.json').symlink_to(annotations)
    words = ['--data', str(annotations), '--images', str(toy / 'toy/val')] * (place == 'data')
    report(tmp_path, config(), str(toy / 'epoch_0.pth'), *words, code=2)
    assert f'numbers.json is the input {annotations}' in capsys.readouterr().err
    assert annotations.read_bytes() == before


def test_an_untrusted_file_is_refused_before_the_other_one_is_tested(
        toy, config, tmp_path, capsys):
    (tmp_path / 'other.pt2').write_bytes(b'anything')
    report(tmp_path, config(), str(toy / 'epoch_0.pth'), '--against', str(tmp_path / 'other.pt2'),
           code=2)
    err = capsys.readouterr().err
    assert 'other.pt2 can execute code' in err and 'testing' not in err


def test_the_same_run_gives_the_same_page(toy, config, tmp_path):
    pages = [report(tmp_path, config(), toy / 'epoch_0.pth')[0].text for _ in range(2)]
    assert len({re.sub(r'<dt>made</dt><dd>.*?</dd>', '', page) for page in pages}) == 1


MEASURES = """<script>
document.querySelectorAll('img').forEach(image => image.loading = 'eager');
addEventListener('load', () => {
  const broken = [...document.images].filter(image => !image.naturalWidth).length;
  document.body.dataset.found = JSON.stringify({broken, images: document.images.length,
    wide: document.documentElement.scrollWidth - innerWidth,
    svgs: [...document.querySelectorAll('svg')].filter(
      svg => svg.getBoundingClientRect().width > 200).length,
    heading: document.querySelector('h1').innerText});
});
</script></body>"""


@pytest.mark.skipif(CHROMIUM is None, reason='no Chromium here')
@pytest.mark.parametrize('width', [1280, 500])
def test_the_page_opens_in_a_browser(toy, config, tmp_path, width):
    """500 pixels are the narrowest window of Chromium without a driver."""
    page, _ = report(tmp_path, config(), toy / 'epoch_0.pth', '--against', toy / 'epoch_1.pth')
    measured = tmp_path / 'measured.html'
    measured.write_text(page.text.replace('</body>', MEASURES))
    dom = subprocess.run(
        [CHROMIUM, '--headless', '--no-sandbox', '--disable-gpu', f'--window-size={width},900',
         f'--user-data-dir={tmp_path}/chromium', '--virtual-time-budget=10000', '--dump-dom',
         f'file://{measured}'], capture_output=True, text=True, timeout=300).stdout
    found = json.loads(re.search('data-found="(.*?)"', dom)[1].replace('&quot;', '"'))
    assert found['broken'] == 0 and found['images'] == len(page.pictures)
    assert found['wide'] <= 0, 'the page is wider than the window'
    assert found['svgs'] == len(page.svgs)
    assert found['heading'] == page.headings[0]

