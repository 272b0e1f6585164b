"""Detectors of every family find what is planted in them, in the image that they should get."""

import json

import cv2
import numpy as np
import pytest
import torch
from conftest import ROOT
from mmpose.apis import init_model
from peaks import give_peaks
from planted import save_detector

from refinepose_mm import cli
from refinepose_mm.deploy.boxes import read_boxes
from refinepose_mm.deploy.detectors import FAMILIES, Detector
from refinepose_mm.deploy.detectors.exported import thinned
from refinepose_mm.deploy.detectors.families import Size, recognised
from refinepose_mm.deploy.detectors.letterbox import letterbox
from refinepose_mm.deploy.predictor import BatchPredictor, Scene

CONFIG = str(ROOT / 'configs/refinepose_tiny_toy.py')
SIZE = Size(64, 96)  # 8 * 12 + 4 * 6 + 2 * 3 = 126 cells
CELLS = 126
COLOUR = (51, 102, 204)  # B, G, R
STANDARDISED = (51 - 103.53) / 57.375
# In pixels of the input: the person, a worse box of the same, another class, and noise.
PERSON, DOUBLE, DOG = (10., 8., 40., 56.), (11., 9., 41., 56.), (50., 8., 90., 56.)
SCORE = np.nan  # what the file makes of the image


def centre_and_size(box):
    left, top, right, bottom = box
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top


def yolox(decoded=False):
    """Rows of YOLOX; the person comes from cell (row 1, column 1) of stride 16."""
    rows = np.zeros((1, CELLS, 7), np.float32)
    if decoded:
        rows[..., :4] = (48, 32, 8, 8)
    for cell, box, scores in ((8 * 12 + 6 + 1, PERSON, (1, SCORE, 0)),
                              (8 * 12 + 6 + 2, DOUBLE, (.5, .3, 0)), (60, DOG, (1, .1, .9))):
        x, y, width, height = centre_and_size(box)
        stride, columns, first = (8, 12, 0) if cell < 96 else (16, 6, 96)
        row, column = divmod(cell - first, columns)
        rows[0, cell] = (x, y, width, height, *scores) if decoded else (
            x / stride - column, y / stride - row, np.log(width / stride), np.log(height / stride),
            *scores)
    return rows


def yolo(cells, with_object):
    rows = np.zeros((1, cells, 7 if with_object else 6), np.float32)
    rows[..., :4] = (48, 32, 8, 8)
    sure = (1, ) if with_object else ()
    rows[0, 5] = (*centre_and_size(PERSON), *sure, SCORE, 0)
    rows[0, 9] = (*centre_and_size(DOUBLE), *sure, .15, 0)
    rows[0, 70] = (*centre_and_size(DOG), *sure, .1, .9)
    return rows


def ends(*columns):
    rows = np.zeros((1, 20, 4 + len(columns)), np.float32)
    rows[0, 0] = (*PERSON, *(column[0] for column in columns))
    rows[0, 1] = (*DOG, *(column[1] for column in columns))
    return rows


LABELS = np.array([[0, 2] + [0] * 18])
# Outputs, how the file makes a score of what it sees, and the score that the colour gives.
PLANTED = {
    'yolox': ([yolox()], dict(scale=1 / 255), 51 / 255),
    'yolox, decoded': ([yolox(decoded=True)], dict(scale=1 / 255), 51 / 255),
    'yolov5': ([yolo(3 * CELLS, True)], {}, 204 / 255),
    'yolov8': ([yolo(CELLS, False).transpose(0, 2, 1)], {}, 204 / 255),
    'yolov10': ([ends((SCORE, .9), (0, 16))], {}, 204 / 255),
    'rtmdet': ([ends((SCORE, .9)), LABELS], dict(scale=.1, bias=.5, stem=3),
               STANDARDISED * .1 + .5),
    'yolox-nms': ([ends((SCORE, .9)), LABELS], dict(scale=1 / 255, stem=12), 51 / 255),
}


def photo(width, height):
    return np.full((height, width, 3), COLOUR, np.uint8)


@pytest.mark.parametrize('name', PLANTED)
def test_each_family_gets_its_image_and_gives_the_person(tmp_path, name):
    outputs, options, score = PLANTED[name]
    detector = Detector(save_detector(tmp_path / 'a.onnx', outputs, **options), threshold=.12)
    family = FAMILIES[name.split(',')[0]]
    assert str(family) in detector.description and '64x96' in detector.description
    # Half as wide as the input: scaled by 2, with 48 pixels left over.
    image = photo(24, 32)
    boxes, scores = detector(image)
    left, top, right, bottom = PERSON
    shift = 24 if family.centred else 0
    box = np.array([left - shift, top, right - shift, bottom]) / 2
    assert scores == pytest.approx([score], abs=1e-3)
    np.testing.assert_allclose(boxes, [box.clip(0, (24, 32, 24, 32))], atol=1e-3)


@pytest.mark.parametrize('name', PLANTED)
@pytest.mark.parametrize('batch', [None, 1, 2])
def test_images_share_batches_in_order(tmp_path, name, batch):
    outputs, options, _ = PLANTED[name]
    detector = Detector(save_detector(tmp_path / 'a.onnx', outputs, batch=batch, **options),
                        threshold=.12, batch_size=3)
    sizes = []
    run = detector.find.session.run
    detector.find.session = detector.find.session._replace(
        run=lambda images: sizes.append(len(images)) or run(images))
    images = [photo(96, 64), photo(48, 32), photo(24, 32), photo(96, 64)]
    scenes = list(detector.stream(Scene(image, name=str(number))
                                  for number, image in enumerate(images)))
    assert sizes == {None: [3, 1], 1: [1] * 4, 2: [2, 2, 2]}[batch]
    assert [scene.name for scene in scenes] == list('0123')
    for image, scene in zip(images, scenes):
        boxes, scores = detector(image)
        np.testing.assert_array_equal(scene.boxes, boxes)
        np.testing.assert_array_equal(scene.box_scores, scores)
    np.testing.assert_allclose(scenes[1].boxes, scenes[0].boxes / 2, atol=1e-3)


def test_openvino_files(tmp_path):
    openvino = pytest.importorskip('openvino', reason='openvino is not installed')
    for name in ('yolov8', 'rtmdet', 'yolox-nms'):
        outputs, options, score = PLANTED[name]
        path = save_detector(tmp_path / 'a.onnx', outputs, **options)
        openvino.save_model(openvino.convert_model(path), tmp_path / f'{name}.xml')
        detector = Detector(tmp_path / f'{name}.xml', threshold=.12)
        assert str(FAMILIES[name]) in detector.description and 'OpenVINO' in detector.description
        boxes, scores = detector(photo(96, 64))
        np.testing.assert_allclose(boxes, [PERSON], atol=.05)  # saved in half precision
        assert scores == pytest.approx([score], abs=2e-3)


def test_sizes_and_types_that_a_file_leaves_open(tmp_path):
    rows = np.zeros((1, 8400, 6), np.float32)
    rows[..., :4] = (320, 320, 8, 8)
    rows[0, 5] = (*centre_and_size(PERSON), SCORE, 0)
    path = save_detector(tmp_path / 'a.onnx', [rows.transpose(0, 2, 1)], size=None, kind='float16')
    detector = Detector(path)
    assert '640x640' in detector.description
    boxes, scores = detector(photo(640, 640))
    np.testing.assert_allclose(boxes, [PERSON], atol=1e-3)
    assert scores == pytest.approx([.8], abs=1e-3)


@pytest.mark.parametrize('options, message', [
    (dict(outputs=[np.zeros((1, 17, 64, 48), np.float32)]),
     r'outputs \(1, 17, 64, 48\) for images 64x96 are those of no detector'),
    (dict(outputs=[np.zeros((1, 100, 85), np.float32)]), r'outputs \(1, 100, 85\) .* no detector'),
    (dict(outputs=[np.zeros((1, 126, 85), np.float32)] * 2), 'are those of no detector'),
    (dict(outputs=PLANTED['rtmdet'][0]),
     'are those of rtmdet and of yolox-nms, which take different images; name the family'),
    (dict(outputs=PLANTED['yolov8'][0], bias=7), 'its scores are from 0 to 7, expected 0 to 1'),
    (dict(outputs=PLANTED['yolov8'][0], others=['sizes']), r'expected one input of images'),
    (dict(outputs=PLANTED['yolov8'][0], kind='uint8'), 'not float'),
])
def test_files_that_are_no_detectors_are_refused_with_what_was_seen(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        Detector(save_detector(tmp_path / 'a.onnx', **options))


def test_a_family_can_be_named(tmp_path):
    path = save_detector(tmp_path / 'a.onnx', PLANTED['rtmdet'][0])
    assert 'RTMDet' in Detector(path, family='rtmdet').description
    assert 'YOLOX' in Detector(path, family='yolox-nms').description
    with pytest.raises(ValueError, match='not those of yolov8, but of rtmdet or yolox-nms'):
        Detector(path, family='yolov8')


@pytest.mark.parametrize('arguments, message', [
    (('a.txt', ), r'must be an exported file \(.onnx, .xml\) or a config of mmdet'),
    (('a.onnx', 'b.pth'), 'has its weights inside'),
    (('a.py', ), 'it needs weights'),
    (('a.onnx', None, 1.5), 'from 0 to 1, got 1.5'),
    (('a.onnx', None, float('nan')), 'from 0 to 1, got nan'),
    (('a.onnx', None, .3, 0), 'batch_size must be at least 1'),
    (('a.onnx', None, .3, 8, 'ssd'), "got 'ssd'"),
])
def test_mistakes_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Detector(*arguments)


def test_missing_and_broken_files(tmp_path):
    pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')
    with pytest.raises(FileNotFoundError, match='none.onnx not found'):
        Detector(tmp_path / 'none.onnx')
    (tmp_path / 'a.onnx').write_bytes(b'no model')
    with pytest.raises(ValueError, match='a.onnx cannot be read'):
        Detector(tmp_path / 'a.onnx')


# Without any engine.


def no_stem():
    return None


@pytest.mark.parametrize('shape, family', [
    ((1, 8400, 85), 'yolox'), ((1, 8400, 6), 'yolox'), ((1, 8500, 85), 'yolox'),
    ((1, 25200, 85), 'yolov5'), ((1, 84, 8400), 'yolov8'), ((1, 5, 8400), 'yolov8'),
    ((1, 300, 6), 'yolov10')])
def test_families_by_shape(shape, family):
    assert recognised([np.zeros(shape, np.float32)], Size(640, 640), no_stem) == family


@pytest.mark.parametrize('stem, family', [(3, 'rtmdet'), (12, 'yolox-nms')])
def test_the_first_convolution_tells_yolox_from_rtmdet(stem, family):
    outputs = [np.zeros((1, 100, 5), np.float32), np.zeros((1, 100), np.int64)]
    for some in (outputs, outputs[::-1], outputs[:1]):
        assert recognised(some, Size(640, 640), lambda: stem) == family


@pytest.mark.parametrize('centred', [True, False])
@pytest.mark.parametrize('width, height', [(100, 50), (33, 200), (640, 640), (1, 999)])
def test_letterbox_and_back(width, height, centred):
    image = np.zeros((height, width, 3), np.uint8)
    boxed, place = letterbox(image, 64, 96, centred)
    rows, columns = np.nonzero(boxed[..., 0] == 0)
    inside = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], float)
    np.testing.assert_allclose(place.to_image(inside), [[0, 0, width, height]], atol=1e-4)
    assert (inside[0, 0] == 0 and inside[0, 1] == 0) or centred
    beyond = place.to_image(np.array([[-50., -50., 500., 500.]]))
    np.testing.assert_array_equal(beyond, [[0, 0, width, height]])


def test_worse_boxes_of_the_same_person_are_dropped():
    boxes = np.array([[[0, 0, 10, 20], [1, 0, 11, 20], [8, 0, 18, 20], [30, 0, 40, 20],
                       [50, 0, 50, 20], [np.nan, 0, 10, 20]]], float)
    scores = np.array([[.5, .9, .6, .2, .9, .9]])
    (kept, values), = thinned((boxes, scores), .3, overlaps=True)
    assert kept[:, 0].tolist() == [1, 8] and values.tolist() == pytest.approx([.9, .6])
    (kept, _), = thinned((boxes, scores), .3, overlaps=False)
    assert kept[:, 0].tolist() == [1, 8, 0]


# The command.


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('trained') / 'epoch_1.pth'
    torch.save(dict(state_dict=give_peaks(init_model(CONFIG, device='cpu')).state_dict()), path)
    return str(path)


@pytest.fixture
def command(checkpoint, tmp_path, capsys):
    """Runs `refinepose predict` on two photos; returns the exit code, stdout and stderr."""
    source = tmp_path / 'photos'
    source.mkdir()
    cv2.imwrite(str(source / '000000000785.png'), photo(96, 64))
    cv2.imwrite(str(source / 'b.png'), photo(48, 32))

    def run(*words):
        code = cli.main(['predict', str(source), '--config', CONFIG, '--weights', checkpoint,
                         '--output', str(tmp_path / 'drawn'), *map(str, words)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    run.output = tmp_path / 'drawn'
    return run


def found_in(folder):
    return json.loads((folder / 'predictions.json').read_text())


def test_predict_with_a_file(command, tmp_path):
    outputs, options, score = PLANTED['yolov8']
    path = save_detector(tmp_path / 'yolo.onnx', outputs, **options)
    code, out, _ = command('--detector', path, '--formats', 'csv')
    assert code == 0 and 'persons by yolo.onnx as YOLOv8, v9 or 11, RGB, 0 to 1' in out
    assert '2 persons in 2 images' in out and 'whole image' not in out
    person, = found_in(command.output)['b.png']
    assert person['box'] == pytest.approx([value / 2 for value in PERSON], abs=.01)
    assert person['box_score'] == pytest.approx(score, abs=1e-3)
    assert ',0.8' in (command.output / 'keypoints.csv').read_text().splitlines()[1]
    assert command('--detector', path, '--box-threshold', .85)[0] == 0
    assert found_in(command.output) == {'000000000785.png': [], 'b.png': []}


def test_whole_images_say_how_to_name_a_detector(command):
    code, out, _ = command()
    assert code == 0
    assert [line for line in out.splitlines() if '--detector' in line] == [
        'no --detector and no --boxes: each whole image is one person; --detector FILE.onnx finds '
        'persons']


@pytest.mark.parametrize('words, message', [
    (('--detector', 'a.txt'), 'must be an exported file'),
    (('--detector', 'a.onnx', '--boxes', 'b.json'), 'expected --boxes or --detector, got both'),
    (('--detector-weights', 'a.pth'), 'need --detector'),
    (('--box-threshold', 'nan'), '--box-threshold must be from 0 to 1, got nan'),
    (('--box-threshold', '2'), '--box-threshold must be from 0 to 1, got 2.0')])
def test_mistakes_end_before_work(command, words, message):
    code, _, err = command(*words)
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1
    assert not command.output.exists()


def detection(image_id, score=.7, category=1, bbox=(10, 8, 30, 48)):
    return dict(image_id=image_id, category_id=category, bbox=list(bbox), score=score)


def test_predict_with_detections_of_coco(command, tmp_path):
    path = tmp_path / 'detections.json'
    path.write_text(json.dumps([detection(785), detection(785, .2), detection(785, .9, 3)]))
    code, out, err = command('--boxes', path, '--box-threshold', '.5')
    assert code == 0 and '1 person in 2 images' in out
    person, = found_in(command.output)['000000000785.png']
    assert person['box'] == [10, 8, 40, 56] and person['box_score'] == .7
    code, _, err = command('--boxes', path)  # the threshold's default leaves two out of three
    assert len(found_in(command.output)['000000000785.png']) == 1
    path.write_text(json.dumps([detection('b'), detection(5)]))
    code, _, err = command('--boxes', path)
    assert code == 1 and '1 of 2 entries' in err and 'fit no image: 5' in err
    assert len(found_in(command.output)['b.png']) == 1


@pytest.mark.parametrize('name', ['785', '000000000785.jpg', 'a/000000000785.png',
                                  'COCO_val2014_000000000785.jpg'])
def test_ids_of_coco_are_found_in_names(tmp_path, name):
    path = tmp_path / 'detections.json'
    path.write_text(json.dumps([detection(785)]))
    boxes, scores = read_boxes(path, None).of(name)
    assert boxes.tolist() == [[10, 8, 40, 56]] and scores.tolist() == [np.float32(.7)]
    assert len(read_boxes(path, None).of('786')[0]) == 0


def test_bad_detections_are_named_and_left_out(command, tmp_path):
    path = tmp_path / 'detections.json'
    bad = [dict(bbox=[0, 0, 0, 5]), dict(bbox=[0, 0, 5]), dict(score=None), dict(score=2),
           dict(image_id=None), dict(score=float('nan'))]
    path.write_text(json.dumps([detection(785), *({**detection(785), **each} for each in bad)]))
    code, _, err = command('--boxes', path)
    assert code == 1 and 'boxes left out: 6' in err
    assert all(f'detection {number} must have image_id' in err for number in range(1, 7))
    assert len(found_in(command.output)['000000000785.png']) == 1


def test_other_lists_are_refused(command, tmp_path):
    path = tmp_path / 'detections.json'
    path.write_text(json.dumps([detection(785, category=3)]))
    code, _, err = command('--boxes', path)
    assert code == 2 and 'expected detections of category_id 1, got 3' in err
    path.write_text(json.dumps(dict(images=[], annotations=[])))
    assert "got COCO's annotations" in command('--boxes', path)[2]


@pytest.fixture(scope='module')
def rtmdet(tmp_path_factory):
    """RTMDet-tiny with random weights; each cell of its largest stride is sure of a person."""
    from mmdet.registry import MODELS
    from mmengine.config import Config
    from mmengine.registry import DefaultScope
    folder = tmp_path_factory.mktemp('rtmdet')
    (folder / 'rtmdet.py').write_text('''
_base_ = 'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py'
model = dict(backbone=dict(init_cfg=None))
pipeline = [dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(128, 128), keep_ratio=True),
            dict(type='Pad', size=(128, 128), pad_val=dict(img=(114, 114, 114))),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='PackDetInputs', meta_keys=(
                'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]
test_dataloader = dict(dataset=dict(pipeline=pipeline))
''')
    torch.manual_seed(0)
    config = Config.fromfile(folder / 'rtmdet.py')
    config.model.backbone.init_cfg = None
    import mmdet.models  # noqa: F401, registers
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(config.model)
    for level, layer in enumerate(model.bbox_head.rtm_cls):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.constant_(layer.bias, -10)
        layer.bias.data[0] = 1. if level == 2 else -10.
    for layer in model.bbox_head.rtm_reg:
        torch.nn.init.normal_(layer.weight, std=.02)
        torch.nn.init.constant_(layer.bias, 30)
    torch.save(dict(state_dict=model.state_dict()), folder / 'epoch_1.pth')
    return folder / 'rtmdet.py', folder / 'epoch_1.pth'


def test_a_detector_of_mmdet_finds_what_mmdet_finds(rtmdet):
    from mmdet.apis import inference_detector, init_detector
    from mmengine.registry import init_default_scope
    rng = np.random.default_rng(0)
    images = [cv2.GaussianBlur(rng.integers(0, 256, (*size, 3), np.uint8), (0, 0), 5)
              for size in ((120, 160), (160, 90), (64, 64))]
    ours = list(Detector(*rtmdet, threshold=.3, batch_size=2).stream(map(Scene, images)))
    model = init_detector(str(rtmdet[0]), str(rtmdet[1]), device='cpu')
    theirs = inference_detector(model, images)
    init_default_scope('mmpose')
    for scene, sample in zip(ours, theirs):
        found = sample.pred_instances
        persons = (found.labels == 0) & (found.scores >= .3)
        height, width = scene.image.shape[:2]
        boxes = found.bboxes[persons].numpy().clip(0, (width, height, width, height))
        assert len(boxes) > 0
        np.testing.assert_allclose(scene.boxes, boxes, atol=1e-3)
        np.testing.assert_allclose(scene.box_scores, found.scores[persons], atol=1e-5)


def test_predict_with_a_detector_of_mmdet(command, rtmdet):
    config, weights = rtmdet
    code, out, _ = command('--detector', config, '--detector-weights', weights)
    assert code == 0 and 'persons by rtmdet.py as RTMDet of mmdet' in out
    for persons in found_in(command.output).values():
        assert persons and all(person['box_score'] == pytest.approx(.7311, abs=1e-4)
                               for person in persons)


def test_weights_of_another_detector_are_refused(rtmdet, checkpoint, tmp_path):
    with pytest.raises(ValueError, match='epoch_1.pth is not of this config'):
        Detector(rtmdet[0], checkpoint)
    with pytest.raises(FileNotFoundError):
        Detector(rtmdet[0], tmp_path / 'none.pth')
    with pytest.raises(ValueError, match='toy.py: .* must begin with LoadImageFromFile'):
        Detector(CONFIG, checkpoint)


def test_two_lines_of_python(checkpoint, rtmdet):
    predict = BatchPredictor(CONFIG, checkpoint)
    detect = Detector(*rtmdet)
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    poses = predict(image, *detect(image))
    assert len(poses.keypoints) == len(poses.box_scores) > 0
    whole = predict(image)
    np.testing.assert_array_equal(whole.boxes, [[0, 0, 160, 120]])
    np.testing.assert_allclose(whole.keypoints, predict(image, whole.boxes).keypoints)
