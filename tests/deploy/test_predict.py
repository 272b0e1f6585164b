"""Photos and videos in, drawings and json out, whatever happens on the way."""

import hashlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
import torch
from conftest import ROOT
from mmpose.apis import init_model
from peaks import give_peaks

from refinepose_mm import cli
from refinepose_mm.deploy import predict
from refinepose_mm.deploy.poses import Poses
from refinepose_mm.deploy.predictor import BatchPredictor, Scene
from refinepose_mm.deploy.results import Results
from refinepose_mm.deploy.tables import Joints

CONFIG = str(ROOT / 'configs/refinepose_tiny_toy.py')


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('trained') / 'epoch_1.pth'
    torch.save(dict(state_dict=give_peaks(init_model(CONFIG, device='cpu')).state_dict()), path)
    return str(path)


@pytest.fixture(scope='module')
def frames():
    noise = np.random.default_rng(0).integers(0, 256, (7, 120, 160, 3), np.uint8)
    return [cv2.GaussianBlur(frame, (0, 0), 4) for frame in noise]


@pytest.fixture
def photos(tmp_path, frames):
    folder = tmp_path / 'photos'
    folder.mkdir()
    for number, frame in enumerate(frames):
        cv2.imwrite(str(folder / f'{number}.png'), frame)
    return folder


@pytest.fixture
def video(tmp_path, frames):
    """25 frames per second, the index in front, so that its end can be cut off."""
    pytest.importorskip('av', reason='videos need PyAV')
    from refinepose_mm.deploy.video import Fraction, Frame, VideoWriter
    path = tmp_path / 'frames.mp4'
    writer = VideoWriter(path, Fraction(25), Fraction(1, 25), [])
    for number, frame in enumerate(frames):
        writer.write(Frame(str(number), frame, Fraction(number, 25)))
    writer.close()
    return path


BOXES = {'0': [[10, 10, 90, 110]], '2': [[0, 0, 60, 100], [50, 20, 150, 119]],
         '6': [[5, 5, 80, 99]]}


@pytest.mark.parametrize('batch_size', [1, 3, 32])
def test_persons_of_all_images_share_batches_and_come_out_in_order(
        checkpoint, frames, batch_size):
    predictor = BatchPredictor(CONFIG, checkpoint, batch_size, flip_test=False)
    scenes = [(frame, np.array(BOXES.get(str(number), []))) for number, frame in enumerate(frames)]
    engine, sizes = predictor.engine, []
    predictor.engine = lambda images: sizes.append(len(images)) or engine(images)
    streamed = list(predictor.stream(scenes))
    assert sizes == {1: [1] * 4, 3: [3, 1], 32: [4]}[batch_size]
    assert [len(poses.scores) for _, poses in streamed] == [1, 0, 2, 0, 0, 0, 1]
    for (image, boxes), (_, poses) in zip(scenes, streamed):
        alone = predictor(image, boxes)
        np.testing.assert_allclose(poses.keypoints, alone.keypoints, atol=1e-2)


def test_images_without_persons_do_not_pile_up(checkpoint, frames):
    predictor = BatchPredictor(CONFIG, checkpoint, batch_size=2)
    read = []

    def scenes():
        for number in range(9):
            read.append(number)
            yield frames[0], np.array(BOXES['0'] if number == 0 else [])

    next(predictor.stream(scenes()))
    assert len(read) == 3


@pytest.fixture
def command(checkpoint, tmp_path, capsys):
    """Runs `refinepose predict SOURCE`; returns the exit code and the lines on stderr."""
    def run(source, *words, boxes=None):
        if boxes is not None:
            path = tmp_path / 'boxes.json'
            path.write_text(boxes if isinstance(boxes, str) else json.dumps(boxes))
            words = [*words, '--boxes', str(path)]
        code = cli.main(['predict', str(source), '--config', CONFIG, '--weights', checkpoint,
                         '--output', str(tmp_path / 'drawn'), *words])
        run.out, error = capsys.readouterr()
        return code, [line for line in error.replace('\r', '\n').splitlines()
                      if line.startswith('refinepose predict: ')]
    return run


def found_in(folder):
    """The table, after a comparison with the lines."""
    table = json.loads((folder / 'predictions.json').read_text())
    lines = map(json.loads, (folder / 'predictions.jsonl').read_text().splitlines())
    assert {line['name']: line['persons'] for line in lines} == table
    return table


def hashes(*paths):
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


PNG_BOXES = {f'{number}.png': BOXES.get(str(number), []) for number in range(7)}


def assert_drawn(before, after, persons, tolerance):
    """Each keypoint is drawn, and nothing far from all of them is."""
    changed = np.abs(before.astype(int) - after).max(-1) > tolerance
    keypoints = np.array([person['keypoints'] for person in persons]).reshape(-1, 2)
    inside = ((keypoints > 1) & (keypoints < (158, 118))).all(1)
    x, y = keypoints[inside].round().astype(int).T
    if len(keypoints):
        assert inside.any() and changed[y, x].mean() > .9
        # In videos a box with the identity is drawn, too.
        corners = [np.reshape(person['box'], (2, 2)) for person in persons if 'identity' in person]
        drawn = np.concatenate([keypoints, *corners])
        left, top = drawn.min(0) - 6
        right, bottom = drawn.max(0) + 6
        rows, columns = np.nonzero(changed)
        assert columns.min() > left and columns.max() < right
        assert rows.min() > top and rows.max() < bottom
    else:
        assert not changed.any()


def test_photos(command, photos, frames, tmp_path):
    assert command(photos, '--threshold', '0', boxes=PNG_BOXES) == (0, [])
    assert '4 persons in 7 images' in command.out
    found = found_in(tmp_path / 'drawn')
    assert [len(found[f'{number}.png']) for number in range(7)] == [1, 0, 2, 0, 0, 0, 1]
    assert np.array(found['2.png'][1]['keypoints']).shape == (17, 2)
    for number, frame in enumerate(frames):  # lossless
        drawn = cv2.imread(str(tmp_path / f'drawn/{number}.png'))
        assert_drawn(frame, drawn, found[f'{number}.png'], tolerance=0)


def test_keypoints_below_the_threshold_are_not_drawn(command, photos, frames, tmp_path):
    assert command(photos, '--threshold', '9', boxes=PNG_BOXES)[0] == 0
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / 'drawn/2.png')), frames[2])


def test_video(command, video, tmp_path):
    from refinepose_mm.deploy.video import Video
    boxes = {str(number): BOXES.get(str(number), []) for number in range(7)}
    assert command(video, '--threshold', '0', boxes=boxes) == (0, [])
    found = found_in(tmp_path / 'drawn')
    assert list(found) == list('0123456')
    before, after = list(Video(video)), list(Video(tmp_path / 'drawn/frames.mp4'))
    assert [frame.time for frame in after] == [frame.time for frame in before]
    for old, new in zip(before, after):
        assert_drawn(old.image, new.image, found[old.name], tolerance=40)


def test_formats_are_written_beside_the_json_files(command, video, tmp_path):
    kinds = ['csv', 'coco', 'coco-results', 'label-studio']
    assert command(video, '--draw', 'none', '--formats', *kinds)[0] == 0
    files = {path.name for path in (tmp_path / 'drawn').iterdir()}
    assert files == {'predictions.json', 'predictions.jsonl', 'keypoints.csv', 'coco_results.json',
                     'coco_keypoints.json', 'label_studio.json', 'label_studio.xml'}
    assert 'keypoints.csv' in command.out and 'drawings' not in command.out
    lines = (tmp_path / 'drawn/predictions.jsonl').read_text().splitlines()
    assert json.loads(lines[3])['time'] == 3 / 25
    found = json.loads((tmp_path / 'drawn/coco_results.json').read_text())
    assert [result['image_id'] for result in found] == list(range(7))


def test_photos_in_folders_are_mirrored(command, photos, tmp_path):
    for place in ('a', 'a/b'):
        (photos / place).mkdir()
        os.link(photos / '0.png', photos / place / '0.png')
    assert command(photos)[0] == 0
    assert len(found_in(tmp_path / 'drawn')) == 7  # as before
    boxes = {**PNG_BOXES, 'a/0.png': [], 'a/b/0.png': BOXES['2']}
    assert command(photos, '--recursive', boxes=boxes) == (0, [])
    found = found_in(tmp_path / 'drawn')
    assert [len(found[name]) for name in ('0.png', 'a/0.png', 'a/b/0.png')] == [1, 0, 2]
    assert (tmp_path / 'drawn/a/b/0.png').is_file()
    code, lines = command(photos, '--recursive', '--output', str(photos / 'a/new'))
    assert code == 2 and 'is inside of the source' in lines[0]
    assert not (photos / 'a/new').exists()


@pytest.mark.parametrize('mode, width', [('heatmap', 160), ('compare', 320)])
def test_other_drawings(command, photos, frames, tmp_path, mode, width):
    assert command(photos, '--draw', mode, '--threshold', '0', boxes=PNG_BOXES)[0] == 0
    drawn, nobody = (cv2.imread(str(tmp_path / f'drawn/{number}.png')) for number in (2, 1))
    assert drawn.shape == (120, width, 3)
    np.testing.assert_array_equal(nobody[:, :160], frames[1])
    if mode == 'compare':
        np.testing.assert_array_equal(drawn[:, :160], frames[2])
        assert_drawn(frames[2], drawn[:, 160:], found_in(tmp_path / 'drawn')['2.png'], 0)


def test_heatmaps_lie_where_the_keypoints_are(checkpoint, frames):
    predictor = BatchPredictor(CONFIG, checkpoint, flip_test=False)
    scene = Scene(frames[0], np.array([[20, 10, 80, 110], [60, 0, 150, 100]]))
    y, x = np.mgrid[:32, :24]
    peak = torch.from_numpy(np.exp(-((x - 5)**2 + (y - 7)**2) / 8)).float()
    predictor.engine = lambda images: [peak.expand(len(images), 17, 32, 24)]
    (_, poses), = predictor.stream([scene], heatmaps=True)
    values, origins, steps = poses.heatmaps
    assert values.shape == (2, 17, 32, 24)
    places = origins + (5, 7) * steps
    np.testing.assert_allclose(poses.keypoints, np.repeat(places[:, None], 17, 1), atol=.1)
    (_, poses), = predictor.stream([scene])
    assert poses.heatmaps is None and poses.names[0] == 'nose'
    np.testing.assert_array_equal(poses.boxes, scene.boxes)


def test_whole_images_without_boxes(command, photos, tmp_path):
    assert command(photos / '3.png') == (0, [])
    assert len(found_in(tmp_path / 'drawn')['3.png']) == 1


def test_earlier_grammar_works_with_a_warning(command, checkpoint, photos, tmp_path, capsys):
    command(photos, boxes=PNG_BOXES)
    found = found_in(tmp_path / 'drawn')
    assert cli.main(['predict', CONFIG, checkpoint, str(photos), '--boxes',
                     str(tmp_path / 'boxes.json'), '--output', str(tmp_path / 'again')]) == 0
    assert 'CONFIG WEIGHTS SOURCE is deprecated; write: refinepose predict ' in (
        capsys.readouterr().err)
    assert found_in(tmp_path / 'again') == found


@pytest.mark.parametrize('batch_size', ['2', '32'])
@pytest.mark.parametrize('broken', ['0.png', '3.png', '6.png'])
def test_a_broken_photo_is_named_and_left_out(command, photos, tmp_path, broken, batch_size):
    content = (photos / broken).read_bytes()
    (photos / broken).write_bytes(content[:len(content) // 2])
    code, lines = command(photos, '--batch-size', batch_size)
    assert code == 1
    assert f'{broken} cannot be decoded: ' in lines[0]
    assert lines[1:] == ['refinepose predict: not everything was well: photos skipped: 1']
    assert '6 persons in 6 images' in command.out
    kept = {f'{number}.png' for number in range(7)} - {broken}
    assert set(found_in(tmp_path / 'drawn')) == kept
    assert {path.name for path in (tmp_path / 'drawn').glob('*.png')} == kept


def test_strict_stops_at_a_broken_photo_and_keeps_what_was_before(command, photos, tmp_path):
    (photos / '3.png').write_bytes(b'no image')
    code, lines = command(photos, '--strict')
    assert code == 2 and len(lines) == 1 and '3.png cannot be decoded' in lines[0]
    assert list(found_in(tmp_path / 'drawn')) == ['0.png', '1.png', '2.png']


@pytest.mark.parametrize('box', [
    '[NaN, 0, 9, 9]', '[0, 0, Infinity, 9]', '[0, 0, 1e30, 9]', '[9, 0, 9, 9]', '[0, 9, 9, 0]',
    '[9, 0, 9.0000001, 9]', '[0, 0, 9]', '"left"', '{"left": 0}', '[0, 0, "9", 9]',
    '[0, 0, 9, true]',
    f'[0, 0, {10**400}, 9]'])
def test_a_bad_box_is_named_and_left_out(command, photos, tmp_path, box):
    good = json.dumps(PNG_BOXES)
    boxes = good.replace('[50, 20, 150, 119]', f'[50, 20, 150, 119], {box}')
    assert boxes != good
    code, lines = command(photos, boxes=boxes)
    assert code == 1
    assert '2.png in ' in lines[0] and 'box 2 must be 4 numbers up to 1e+06' in lines[0]
    assert lines[1:] == ['refinepose predict: not everything was well: boxes left out: 1']
    found = found_in(tmp_path / 'drawn')
    assert [len(found[f'{number}.png']) for number in range(7)] == [1, 0, 2, 0, 0, 0, 1]


def test_strict_refuses_a_bad_box_before_work(command, photos, tmp_path):
    code, lines = command(photos, '--strict', boxes={**PNG_BOXES, '4.png': [[0, 0, 9, 9], [1]]})
    assert code == 2 and len(lines) == 1 and '4.png in ' in lines[0] and 'box 1 ' in lines[0]
    assert not (tmp_path / 'drawn').exists()


def test_names_that_fit_some_photos_only_are_told(command, photos, tmp_path):
    boxes = {'0.png': BOXES['0'], '2.png': BOXES['2'], 'other.png': BOXES['0'], '4.png': 5}
    code, lines = command(photos, boxes=boxes)
    assert code == 1
    assert '4.png in ' in lines[0] and 'expected a list of boxes, got 5' in lines[0]
    assert '4 of 7 images have no entry' in lines[1]
    assert lines[1].endswith(': 1.png, 3.png, 5.png, 6.png')
    assert '1 of 4 entries' in lines[2] and lines[2].endswith('fit no image: other.png')
    assert lines[3].endswith('images with malformed boxes: 1, images without an entry in the '
                             'boxes: 4, entries without an image: 1')
    assert len(found_in(tmp_path / 'drawn')) == 7


def test_frame_numbers_that_fit_some_frames_only_are_told(command, video, tmp_path):
    code, lines = command(video, boxes={**BOXES, '7': BOXES['0']})
    assert code == 1
    assert '4 of 7 images have no entry' in lines[0] and lines[0].endswith(': 1, 3, 4, 5')
    assert lines[1].endswith('fit no image: 7')
    assert len(found_in(tmp_path / 'drawn')) == 7


def test_a_damaged_video_is_named_and_what_came_before_is_kept(command, video, tmp_path):
    from refinepose_mm.deploy.video import Video
    video.write_bytes(video.read_bytes()[:-300])
    code, lines = command(video, boxes={str(number): BOXES['0'] for number in range(7)})
    assert code == 1
    found = found_in(tmp_path / 'drawn')
    assert 0 < len(found) < 7
    assert f'frames.mp4 is damaged or incomplete: decoding ended before frame {len(found)} of 7' \
        in lines[0]
    assert lines[1:] == [
        'refinepose predict: not everything was well: videos that ended early: 1']
    assert len(list(Video(tmp_path / 'drawn/frames.mp4'))) == len(found)
    code, lines = command(video, '--strict')
    assert code == 2 and len(lines) == 1
    assert len(found_in(tmp_path / 'drawn')) == len(found)


@pytest.mark.parametrize('end, code', [(KeyboardInterrupt(), 130), (SystemExit(143), 143)])
def test_an_interrupted_run_leaves_what_was_found(
        command, video, tmp_path, monkeypatch, end, code):
    from refinepose_mm.deploy.video import Video
    stream = BatchPredictor.stream

    def interrupted(self, *arguments, **options):
        for number, pair in enumerate(stream(self, *arguments, **options)):
            if number == 4:
                raise end
            yield pair

    monkeypatch.setattr(BatchPredictor, 'stream', interrupted)
    if code == 143:
        with pytest.raises(SystemExit, match='143'):
            command(video, '--batch-size', '1')
    else:
        assert command(video, '--batch-size', '1')[0] == code
    assert list(found_in(tmp_path / 'drawn')) == list('0123')
    assert len(list(Video(tmp_path / 'drawn/frames.mp4'))) == 4


def test_termination_leaves_what_was_found(checkpoint, photos, tmp_path):
    for number in range(300):
        os.link(photos / '0.png', photos / f'more_{number}.png')
    lines = tmp_path / 'drawn/predictions.jsonl'
    process = subprocess.Popen(
        [sys.executable, '-m', 'refinepose_mm', 'predict', str(photos), '--config', CONFIG,
         '--weights', checkpoint, '--output', str(lines.parent), '--batch-size', '2'],
        stderr=subprocess.DEVNULL, cwd=ROOT)
    try:
        while not lines.exists() or lines.read_bytes().count(b'\n') < 3:
            assert process.poll() is None
            time.sleep(.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
    finally:
        process.kill()
    assert 3 <= len(found_in(lines.parent)) < 307


def test_a_run_that_finds_nothing_leaves_earlier_results(command, photos, tmp_path):
    assert command(photos)[0] == 0
    results = [tmp_path / 'drawn' / name for name in ('predictions.json', 'predictions.jsonl')]
    before = hashes(*results)
    (tmp_path / 'broken.jpg').write_bytes(b'no image')
    code, lines = command(tmp_path / 'broken.jpg')
    assert code == 2 and re.search(
        'nothing of .*broken.jpg could be read: .*broken.jpg cannot be decoded: ', lines[-1])
    assert command(photos, '--batch-size', '0')[0] == 2
    assert hashes(*results) == before


def test_lines_name_their_file_on_a_full_disk(tmp_path):
    scene = Scene(np.zeros((9, 9, 3), np.uint8), np.array([[0, 0, 9, 9]]), 'a')
    poses = Poses(np.zeros((1, 17, 2)), np.zeros((1, 17)), boxes=scene.boxes)
    results = Results(tmp_path, Joints([], []), .3)
    results.write(scene, poses)
    results.file.close()
    results.file = open('/dev/full', 'w')
    with pytest.raises(OSError, match=r'not written: .*predictions\.jsonl'):
        results.write(scene, poses)


def test_the_table_appears_complete_or_not_at_all(tmp_path, monkeypatch):
    scene = Scene(np.zeros((9, 9, 3), np.uint8), np.array([[0, 0, 9, 9]]), 'a')
    poses = Poses(np.zeros((1, 17, 2)), np.zeros((1, 17)), boxes=scene.boxes)
    (tmp_path / 'predictions.json').write_text('earlier')
    results = Results(tmp_path, Joints([], []), .3)
    results.write(scene, poses)
    assert (tmp_path / 'predictions.json').read_text() == 'earlier'
    (tmp_path / 'predictions.jsonl').write_text('{"name": "a", ')  # as by another program
    with pytest.raises(ValueError):
        results.close()
    assert (tmp_path / 'predictions.json').read_text() == 'earlier'


def test_sources_are_never_overwritten(command, photos, video, tmp_path):
    """Refused before work: the weights do not even exist."""
    drawn = tmp_path / 'drawn'
    drawn.mkdir()
    sources = [*sorted(photos.iterdir()), video]
    before = hashes(*sources)

    def refused(source, *words, message):
        code, lines = command(source, *words, '--weights', 'nowhere.pth')
        assert code == 2 and message in lines[-1]

    for source, output in ((photos, photos), (photos / '0.png', photos), (video, tmp_path),
                           (photos, photos / '../photos')):
        refused(source, '--output', str(output), message='is the folder of the source')
    linked = tmp_path / 'linked'
    linked.symlink_to(photos)
    refused(photos, '--output', str(linked), message='is the folder of the source')
    (drawn / '0.png').symlink_to(photos / '1.png')
    refused(photos, message=f'is the input {photos}/1.png')
    (drawn / '0.png').unlink()
    os.link(video, drawn / 'frames.mp4')
    refused(video, message=f'is the input {video}')
    os.link(photos / '0.png', drawn / 'predictions.jsonl')
    refused(photos, message=f'is the input {photos}/0.png')
    (tmp_path / 'file').write_text('')
    refused(photos, '--output', str(tmp_path / 'file'), message='is a file, expected a folder')
    assert hashes(*sources) == before


def test_boxes_are_never_overwritten(command, photos, tmp_path):
    drawn = tmp_path / 'drawn'
    drawn.mkdir()
    (drawn / 'predictions.json').write_text(json.dumps(PNG_BOXES))
    code, lines = command(photos, '--boxes', str(drawn / 'predictions.json'))
    assert code == 2 and 'predictions.json is the input' in lines[-1]


@pytest.mark.parametrize('device', ['cuda:99', 'gpu', '', 'meta'])
def test_a_device_that_is_not_there_is_named(command, photos, tmp_path, device):
    code, lines = command(photos, '--device', device)
    assert code == 2 and len(lines) == 1
    assert f'device {device!r} cannot be used here: ' in lines[0]
    assert not (tmp_path / 'drawn').exists()


def test_mistakes_end_in_one_line(command, photos, tmp_path):
    listed, other, deep = (tmp_path / f'{name}.json' for name in ('list', 'other', 'deep'))
    listed.write_text('[]')
    other.write_text('{"else.png": [[0, 0, 9, 9]]}')
    deep.write_text('[' * 100_000)
    broken = tmp_path / 'broken.mp4'
    broken.write_bytes(b'\xff no video')
    empty = tmp_path / 'empty'
    empty.mkdir()
    for words, message in (
            ([tmp_path / 'none.jpg'], 'none.jpg not found'),
            ([listed], 'must be a folder or end in one of'),
            ([empty], 'no photos'),
            ([photos, '--boxes', str(tmp_path / 'none.json')], 'none.json not found'),
            ([photos, '--boxes', str(listed)], 'must map file names'),
            ([photos, '--boxes', str(broken)], 'broken.mp4 is not json'),
            ([photos, '--boxes', str(deep)], 'deep.json is nested too deeply'),
            ([photos, '--boxes', str(other)], 'fit: it has else.png, the images are 0.png, '),
    ):
        code, lines = command(*words)
        assert code == 2 and len(lines) == 1 and message in lines[0]
        assert not (tmp_path / 'drawn').exists()


@pytest.mark.parametrize('words', [
    ['photos', '--weights', 'weights.pth'], [CONFIG, 'weights.pth'],
    [CONFIG, 'weights.pth', 'photos', '--config', CONFIG]])
def test_other_words_than_the_grammar_are_refused(words, capsys):
    assert cli.main(['predict', *words]) == 2
    assert 'expected SOURCE [--config CONFIG --weights WEIGHTS], got ' in capsys.readouterr().err


def test_mistakes_with_videos_end_in_one_line(command, video, tmp_path):
    broken = tmp_path / 'broken.mp4'
    broken.write_bytes(b'no video')
    code, lines = command(broken)
    assert code == 2 and 'broken.mp4 cannot be read as a video' in lines[0]
    for name in ('a.png', '000', '-1', '٣'):
        code, lines = command(video, boxes={name: []})
        assert code == 2 and f'frames are numbers from 0, it has names such as {name}' in lines[0]
        assert not (tmp_path / 'drawn').exists()
    code, lines = command(video, boxes={'77': []})
    assert code == 2 and 'fit: it has 77, the images are 0, 1, ' in lines[0]


@pytest.mark.slow
def test_memory_stays_flat_over_3000_frames(checkpoint, frames, tmp_path):
    class Endless:
        """A source of many frames without a file."""

        skipped, count = 'none', 3000

        def __iter__(self):
            for number in range(self.count):
                sizes.append(resident())
                yield predict.Frame(str(number), frames[number % 7], Fraction(number, 25))

        def writer(self, folder):
            return VideoWriter(folder / 'a.mp4', Fraction(25), Fraction(1, 25), [])

    def resident():
        pages = int(open('/proc/self/statm').read().split()[1])
        return pages * resource.getpagesize() / 2**20

    pytest.importorskip('av', reason='videos need PyAV')
    from refinepose_mm.deploy.video import Fraction, Video, VideoWriter
    sizes = []
    predictor = BatchPredictor(CONFIG, checkpoint, batch_size=8, flip_test=False)
    results = predict.predict(predictor, Endless(), None, tmp_path, 0, predict.Problems(True))
    assert results.images == len(found_in(tmp_path)) == 3000
    assert sum(1 for _ in Video(tmp_path / 'a.mp4')) == 3000
    assert max(sizes[1000:]) - max(sizes[500:1000]) < 10  # MiB
