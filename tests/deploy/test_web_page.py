"""The page in a browser: a photo goes in, keypoints come out that equal those of BatchPredictor."""

import functools
import json
import os
import re
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image
from spots import SPOTS, colours, spotted

from refinepose_mm import cli
from refinepose_mm.bundled import DEMO
from refinepose_mm.datasets.images import read_image
from refinepose_mm.datasets.toy_people import draw_scene
from refinepose_mm.deploy.certificate import Crops
from refinepose_mm.deploy.config import metainfo_of
from refinepose_mm.deploy.export import export_page
from refinepose_mm.deploy.predictor import BatchPredictor
from refinepose_mm.deploy.web.runtime import NEEDED

playwright = pytest.importorskip('playwright.sync_api', reason='playwright is not installed')
for _package in ('onnx', 'onnxscript', 'onnxruntime'):
    pytest.importorskip(_package, reason=f'{_package} is not installed')

BROWSERS = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')
PATIENCE = 60_000  # milliseconds, on a busy machine
CLOSE = .02  # pixels of the photo; json has two digits of keypoints


class Quiet(SimpleHTTPRequestHandler):
    """What `python -m http.server` runs."""

    def log_message(self, *_):
        pass


class Isolating(Quiet):
    """With the headers that WebAssembly needs for threads."""

    def end_headers(self):
        self.send_header('Cross-Origin-Opener-Policy', 'same-origin')
        self.send_header('Cross-Origin-Embedder-Policy', 'require-corp')
        super().end_headers()


@pytest.fixture(scope='module')
def browser():
    """Chromium or Chrome."""
    found = os.environ.get('CHROMIUM') or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f'no Chromium here: none of {", ".join(BROWSERS)} in PATH')
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found)
        yield browser
        browser.close()


@pytest.fixture(scope='module')
def demo(tmp_path_factory):
    """The page of the bundled model, by its command."""
    if shutil.which('npm') is None:
        pytest.skip('no npm here')
    folder = tmp_path_factory.mktemp('web') / 'page'
    assert cli.main(['export', DEMO, '--format', 'web', '--output', str(folder)]) == 0
    return folder


@pytest.fixture(scope='module')
def serve():
    """Serves folders; gives their addresses."""
    servers = []

    def start(folder, handler=Quiet):
        servers.append(ThreadingHTTPServer(
            ('127.0.0.1', 0), functools.partial(handler, directory=str(folder))))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f'http://127.0.0.1:{servers[-1].server_port}/'

    yield start
    for server in servers:
        server.shutdown()


@pytest.fixture(scope='module')
def predict():
    """The bundled model in Python, without flip test unless it is asked for."""
    return BatchPredictor(DEMO, flip_test=False)


class Visitor:
    """A page and what somebody does with it."""

    def __init__(self, browser, address, **options):
        self.context = browser.new_context(viewport=dict(width=1200, height=900), **options)
        self.page = self.context.new_page()
        self.requests, self.errors = [], []
        self.page.on('request', lambda request: self.requests.append(request.url))
        self.page.on('pageerror', lambda error: self.errors.append(str(error)))
        self.page.on('console', lambda message: self.errors.append(message.text))
        self.page.goto(address)
        self.says('Ready.')

    def says(self, text):
        playwright.expect(self.page.locator('#status')).to_have_text(text, timeout=PATIENCE)

    def choose(self, path):
        self.page.set_input_files('#file', str(path))
        playwright.expect(self.page.locator('#photo')).to_have_attribute('alt', path.name)
        self.says(re.compile('^Found'))

    def saved(self, button):
        with self.page.expect_download() as download:
            self.page.click(button)
        return download.value.path()

    def persons(self):
        self.says(re.compile('^Found'))
        return json.loads(self.saved('#save-json').read_text())['persons']


@pytest.fixture
def visit(browser, demo, serve):
    """Opens a page, that of the demo by default, and closes it after the test."""
    visitors = []

    def start(folder=demo, handler=Quiet, **options):
        visitors.append(Visitor(browser, serve(folder, handler), **options))
        return visitors[-1]

    yield start
    for visitor in visitors:
        visitor.context.close()
        assert not visitor.errors


@pytest.fixture
def toy(tmp_path):
    """A toy person who fills a photo: the file and the image."""
    image, _ = draw_scene(np.random.default_rng(0), 1)
    cv2.imwrite(str(tmp_path / 'toy.png'), image)
    return tmp_path / 'toy.png', image


def assert_equal(person, poses, index=0):
    np.testing.assert_allclose(person['keypoints'], poses.keypoints[index], rtol=0, atol=CLOSE)
    np.testing.assert_allclose(person['scores'], poses.scores[index], atol=.005)
    assert person['names'] == list(poses.names)


def whole(image):
    return np.array([[0, 0, image.shape[1], image.shape[0]]])


def test_the_page_finds_what_python_finds_and_asks_no_other_host(visit, toy):
    path, image = toy
    visitor = visit()
    visitor.choose(path)
    person, = visitor.persons()
    poses = BatchPredictor(DEMO)(image, whole(image))  # with flip test, as the config says
    assert_equal(person, poses)
    assert person['box'] == [0, 0, image.shape[1], image.shape[0]]
    assert abs(person['score'] - poses.person_scores()[0]) < 1e-3
    assert float(visitor.page.inner_text('#milliseconds')) > 0
    rows = visitor.page.locator('#tables tbody tr')
    assert rows.count() == 14 and rows.first.text_content().startswith('right ankle')
    assert 'WebAssembly, SIMD, 1 thread (more need a server' in visitor.page.inner_text('#engine')
    home = visitor.page.url
    assert len(visitor.requests) > 10
    assert all(url.removeprefix('blob:').startswith(home) for url in visitor.requests)


def test_headers_of_the_server_give_threads(visit, toy, predict):
    path, image = toy
    visitor = visit(handler=Isolating)
    engine = visitor.page.inner_text('#engine')
    threads = min(os.cpu_count(), 8)
    assert engine.endswith(f'SIMD, {threads} thread{"s" if threads > 1 else ""}')
    visitor.choose(path)
    visitor.page.uncheck('#flip-test')
    assert_equal(visitor.persons()[0], predict(image, whole(image)))


def test_a_photo_is_dropped_and_a_box_is_drawn(visit, toy, predict):
    path, image = toy
    visitor = visit(bypass_csp=True)  # for the next line, which makes a file in the page
    transfer = visitor.page.evaluate_handle('''(bytes) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([Uint8Array.from(bytes)], 'toy.png', {type: 'image/png'}));
        return transfer;
    }''', list(path.read_bytes()))
    visitor.page.dispatch_event('body', 'drop', dict(dataTransfer=transfer))
    visitor.says('Found 1 person.')
    visitor.page.uncheck('#flip-test')
    stage = visitor.page.locator('#stage').bounding_box()
    scale = stage['width'] / image.shape[1]
    drawn = np.array([60, 20, 260, 230])
    corners = drawn.reshape(2, 2) * scale + [stage['x'], stage['y']]
    mouse = visitor.page.mouse
    mouse.move(*corners[1])  # from below, on the right
    mouse.down()
    mouse.move(*corners.mean(0))
    mouse.move(*corners[0])
    mouse.up()
    person, = visitor.persons()
    np.testing.assert_allclose(person['box'], drawn, atol=1)
    assert_equal(person, predict(image, np.array([person['box']])))


def test_boxes_by_keys_one_for_each_person(visit, toy, predict):
    path, image = toy
    height, width = image.shape[:2]
    visitor = visit()
    visitor.choose(path)
    visitor.page.uncheck('#flip-test')
    keys = visitor.page.keyboard
    visitor.page.click('#add-box')
    keys.press('ArrowLeft')
    keys.press('Shift+ArrowDown')
    visitor.page.click('#add-box')
    visitor.says('Found 2 persons.')
    persons = visitor.persons()
    middle = np.array([width / 4, height / 8, width * 3 / 4, height * 7 / 8])
    step = round(width / 100)
    boxes = np.array([middle + [-step, 0, -step, step], middle])
    np.testing.assert_array_equal([person['box'] for person in persons], boxes)
    poses = predict(image, boxes)
    assert_equal(persons[0], poses, 0)
    assert_equal(persons[1], poses, 1)
    assert visitor.page.locator('.box').first.get_attribute('aria-label').startswith('Box 1: left ')
    visitor.page.locator('.box').first.focus()
    keys.press('Delete')
    visitor.says('Found 1 person.')
    person, = visitor.persons()
    np.testing.assert_array_equal(person['box'], middle)
    visitor.page.click('#clear-boxes')
    visitor.says('Found 1 person.')
    assert visitor.persons()[0]['box'] == [0, 0, width, height]


@pytest.mark.parametrize('orientation', [6, 7])
def test_photos_are_upright(visit, toy, predict, orientation, tmp_path):
    image = Image.fromarray(toy[1][..., ::-1])
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / 'turned.jpg', exif=exif, quality=95)
    upright = read_image(tmp_path / 'turned.jpg')
    assert upright.shape[:2] == toy[1].shape[1::-1]
    visitor = visit()
    visitor.choose(tmp_path / 'turned.jpg')
    visitor.page.uncheck('#flip-test')
    assert_equal(visitor.persons()[0], predict(upright, whole(upright)))


def test_the_drawing_has_skeleton_and_heatmaps_in_their_places(visit, toy):
    path, image = toy
    visitor = visit()
    visitor.choose(path)
    person, = visitor.persons()
    best = int(np.argmax(person['scores']))
    x, y = np.floor(np.array(person['keypoints'][best]) + .5).astype(int)

    def picture():
        return np.array(Image.open(visitor.saved('#save-picture')).convert('RGB'), int)

    skeleton = picture()
    assert skeleton.shape == image.shape
    visitor.page.uncheck('#skeleton')
    np.testing.assert_array_equal(picture(), image[..., ::-1])
    visitor.page.check('#heatmaps')
    visitor.page.select_option('#joint', str(best))
    colour = np.array([51, 153, 255] if best > 11 else [0, 255, 0] if best in (
        3, 4, 5, 9, 10, 11) else [255, 128, 0])
    assert np.abs(skeleton[y, x] - colour).max() < 40
    # Where the joint is not, the photo is darker; where it is, there is the joint's colour.
    heat = picture() - .6 * image[..., ::-1]
    height = heat @ (colour / np.linalg.norm(colour))
    peak = np.unravel_index(height.argmax(), height.shape)
    assert np.hypot(peak[0] - y, peak[1] - x) < 10
    visitor.page.uncheck('#heatmaps')
    visitor.page.check('#skeleton')
    visitor.page.fill('#threshold', '1')
    np.testing.assert_array_equal(picture(), image[..., ::-1])


def test_what_is_no_photo_is_named_and_the_next_one_works(visit, toy, tmp_path):
    (tmp_path / 'notes.txt').write_text('no photo')
    visitor = visit()
    visitor.page.set_input_files('#file', str(tmp_path / 'notes.txt'))
    visitor.says('notes.txt is not a photo that this browser can read.')
    visitor.choose(toy[0])


def test_an_incomplete_copy_says_so(browser, demo, serve, tmp_path):
    folder = tmp_path / 'page'
    shutil.copytree(demo, folder)
    with open(folder / 'model.onnx', 'r+b') as file:
        file.truncate(1000)
    context = browser.new_context()
    page = context.new_page()
    page.goto(serve(folder))
    playwright.expect(page.locator('#status')).to_have_text(
        re.compile('The model cannot be loaded: .*model.onnx is incomplete'), timeout=PATIENCE)
    context.close()


def test_opened_from_the_disk_it_says_how_to_serve_it(browser, demo):
    context = browser.new_context()
    page = context.new_page()
    page.goto((demo / 'index.html').as_uri())
    playwright.expect(page.locator('#from-disk')).to_be_visible(timeout=PATIENCE)
    assert 'python -m http.server' in page.inner_text('#from-disk')
    context.close()


def test_another_model_with_another_shape_and_joints(visit, demo, tmp_path):
    names = ['red', 'green', 'blue']
    metainfo = dict(
        dataset_name='spots', paper_info={}, joint_weights=[1.] * 3, sigmas=[.1] * 3,
        keypoint_info={number: dict(name=name, id=number, color=[9, 9, 9], type='', swap='')
                       for number, name in enumerate(names)},
        skeleton_info={0: dict(link=('red', 'blue'), id=0, color=[9, 9, 9])})
    pipeline = [dict(type='GetBBoxCenterScale', padding=1.5),
                dict(type='TopdownAffine', input_size=(96, 128), use_udp=True)]
    model = colours()
    model.cfg = Config(dict(test_dataloader=dict(dataset=dict(
        type='CocoDataset', metainfo=metainfo, pipeline=pipeline))))
    model.dataset_meta = metainfo_of(model.cfg.test_dataloader.dataset)
    model.test_cfg = dict(flip_test=True)
    package = tmp_path / 'onnxruntime-web'  # as the other page has it
    (package / 'dist').mkdir(parents=True)
    for original, ours in NEEDED.items():
        shutil.copy(demo / 'onnxruntime' / ours, package / original)
    (package / 'package.json').write_text('{"version": "1.30.0"}')
    photo = spotted()
    cv2.imwrite(str(tmp_path / 'spots.png'), photo)
    crop = torch.from_numpy(cv2.resize(photo, (96, 128))).permute(2, 0, 1)[None].float()
    export_page(model, tmp_path / 'page', 'spots', Crops(crop, 'spots'), package)
    visitor = visit(tmp_path / 'page')
    assert visitor.page.title() == 'RefinePose · spots'
    visitor.choose(tmp_path / 'spots.png')
    for flip_test in (True, False):
        visitor.page.set_checked('#flip-test', flip_test)
        person, = visitor.persons()
        assert np.abs(np.array(person['keypoints']) - SPOTS).max() < .5
        assert person['names'] == names and min(person['scores']) > .6


def test_real_photos(visit, predict, photos):
    visitor = visit()
    for path in sorted((photos / 'lspet/val').glob('*.jpg'))[:10]:
        visitor.choose(path)
        visitor.page.uncheck('#flip-test')
        image = read_image(path)
        assert_equal(visitor.persons()[0], predict(image, whole(image)))
