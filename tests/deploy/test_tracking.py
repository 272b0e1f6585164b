"""Persons keep their identities while they pass each other, and keypoints do not tremble."""

import csv
import json
import sys
from fractions import Fraction

import numpy as np
import pytest
import torch
from conftest import ROOT
from mmpose.apis import init_model
from peaks import give_peaks

from refinepose_mm import cli
from refinepose_mm.deploy.poses import Poses
from refinepose_mm.deploy.predictor import BatchPredictor
from refinepose_mm.deploy.smoothing import Smoother
from refinepose_mm.deploy.tracking import Tracker, overlaps

sys.path.insert(0, str(ROOT / 'projects/video'))
from identities import SIGMAS, Noise, film, switches  # noqa: E402
from walkers import paint, walk  # noqa: E402

CONFIG = str(ROOT / 'configs/refinepose_tiny_toy.py')
CALM = Noise(keypoints=.02, boxes=.01, missing=0, hidden=2)


def tracked(frames):
    tracker, truth, found = Tracker(SIGMAS), [], []
    for people, _, poses, time in frames:
        truth.append(people)
        found.append(tracker(poses, time))
    return truth, found


@pytest.mark.parametrize('turning', [False, True])
@pytest.mark.parametrize('hidden', [2, .3])
@pytest.mark.parametrize('seed', [0, 1, 2])
def test_identities_stay_while_persons_pass_each_other(seed, hidden, turning):
    frames = list(film(np.random.default_rng(seed), 2, 60, CALM._replace(hidden=hidden), turning))
    truth, found = tracked(frames)
    assert switches(truth, found) == 0
    assert set(np.concatenate(found)) == {1, 2}
    unseen = sum(len(people) < 2 for people in truth)
    assert unseen > 3 if hidden < 1 else unseen == 0


def person(x, score=1.):
    keypoints = np.array([[[x + 5. * (joint % 4), 10. * (joint // 4)] for joint in range(17)]])
    return Poses(keypoints, np.full((1, 17), score), boxes=np.array([[x - 5., -5., x + 20, 45]]))


def test_who_was_away_for_long_is_somebody_new():
    tracker = Tracker(SIGMAS, patience=.5)
    assert tracker(person(0), 0).tolist() == [1]
    assert tracker(person(0), .4).tolist() == [1]
    nobody = Poses(np.zeros((0, 17, 2)), np.zeros((0, 17)), boxes=np.zeros((0, 4)))
    assert tracker(nobody, .8).tolist() == []
    assert tracker(person(0), .85).tolist() == [1]
    assert tracker(person(0), 1.4).tolist() == [2]


def test_somebody_elsewhere_is_somebody_new():
    tracker = Tracker(SIGMAS)
    assert tracker(person(0), 0).tolist() == [1]
    assert tracker(person(200), .04).tolist() == [2]


def test_keypoints_without_scores_leave_it_to_the_boxes():
    tracker = Tracker(SIGMAS)
    assert [tracker(person(x, score=0.), time)[0] for x, time in ((0, 0), (2, .04), (4, .08))] == [
        1, 1, 1]


def test_overlaps():
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 0, 30, 10]], float)
    np.testing.assert_allclose(overlaps(boxes[0], boxes), [1, 1 / 3, 0])


def smoothed(positions, scores=None, identities=None, rate=25):
    smoother, found = Smoother(), []
    for number, position in enumerate(positions):
        poses = person(position, 1. if scores is None else scores[number])
        poses.boxes = np.array([[0., 0, 50, 50]])
        if identities:
            poses.identities = np.array([identities[number]])
        found.append(smoother(poses, number / rate)[0, 0, 0])
    return np.array(found)


def test_trembling_keypoints_become_calm():
    noise = np.random.default_rng(0).normal(0, 1, 200)
    assert smoothed(noise)[50:].std() < .6 * noise[50:].std()


def test_fast_keypoints_are_not_late():
    way = np.arange(50) * 4.  # two body sizes per second
    assert np.abs(smoothed(way) - way)[10:].max() < 8  # two frames
    np.testing.assert_array_equal(smoothed(np.full(5, 7.)), 7)


def test_a_keypoint_with_a_lower_score_than_usual_moves_less():
    way, scores = [0.] * 10 + [10.], [.9] * 11
    high = smoothed(way, scores)[-1]
    low = smoothed(way, [*scores[:-1], .3])[-1]
    assert low == pytest.approx(high / 3)
    assert smoothed(way, [.3] * 11)[-1] == pytest.approx(high)  # no matter how high scores are


def test_each_identity_is_smoothed_for_itself():
    assert smoothed([0., 40.], identities=[1, 2]).tolist() == [0, 40]
    assert smoothed([0., 40.], identities=[1, 1])[1] < 40
    assert smoothed([0., 40.], rate=1).tolist() == [0, 40]  # a second later: anew


# The command, on a film.


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('trained') / 'epoch_1.pth'
    torch.save(dict(state_dict=give_peaks(init_model(CONFIG, device='cpu')).state_dict()), path)
    return str(path)


@pytest.fixture(scope='module')
def crossing(tmp_path_factory):
    """Two toy people pass each other; the one behind is not found for a while."""
    pytest.importorskip('av', reason='videos need PyAV')
    from refinepose_mm.deploy.video import Frame, VideoWriter
    folder = tmp_path_factory.mktemp('crossing')
    writer = VideoWriter(folder / 'crossing.mp4', Fraction(25), Fraction(1, 25), [])
    boxes, truth, keypoints = {}, {}, {}
    for number, step in enumerate(walk(np.random.default_rng(3), 2, 36)):
        writer.write(Frame(str(number), paint(step), Fraction(number, 25)))
        behind, before = step.boxes
        kept = [1] if overlaps(behind, before[None])[0] > .35 else [0, 1]
        boxes[str(number)], truth[str(number)] = step.boxes[kept].tolist(), kept
        keypoints[str(number)] = step.keypoints[kept]
    writer.close()
    (folder / 'boxes.json').write_text(json.dumps(boxes))
    return folder, truth, keypoints


@pytest.fixture
def predict(crossing, checkpoint, tmp_path, monkeypatch, capsys):
    """Runs `refinepose predict` on the film; returns the lines by name.

    The network is random; in its place stands the truth with noise.
    """
    folder, _, keypoints = crossing
    gather = BatchPredictor._gather
    noise = np.random.default_rng(0)

    def planted(self, done):
        poses, exact = gather(self, done), keypoints[done.scene.name]
        if len(exact) == len(poses.keypoints):
            poses.keypoints = exact + noise.normal(0, 1.5, exact.shape)
            poses.scores = np.full(exact.shape[:2], .8)
        return poses

    monkeypatch.setattr(BatchPredictor, '_gather', planted)

    def run(*words, boxes=True):
        words = [*words, *(['--boxes', str(folder / 'boxes.json')] if boxes else [])]
        assert cli.main(['predict', str(folder / 'crossing.mp4'), '--config', CONFIG, '--weights',
                         checkpoint, '--output', str(tmp_path / 'drawn'), *words]) == 0
        assert capsys.readouterr().err.count('refinepose predict:') == 0
        lines = (tmp_path / 'drawn/predictions.jsonl').read_text().splitlines()
        return {line['name']: line for line in map(json.loads, lines)}

    return run


def test_identities_in_every_output(crossing, predict, tmp_path):
    _, truth, _ = crossing
    lines = predict('--formats', 'csv', 'coco')
    assert sum(len(kept) == 1 for kept in truth.values()) >= 3
    numbers = {name: [person['identity'] for person in line['persons']]
               for name, line in lines.items()}
    first = dict(zip(truth['0'], numbers['0']))
    assert sorted(first.values()) == [1, 2]
    assert numbers == {name: [first[who] for who in kept] for name, kept in truth.items()}
    table = json.loads((tmp_path / 'drawn/predictions.json').read_text())
    assert [person['identity'] for person in table['35']] == numbers['35']
    with open(tmp_path / 'drawn/keypoints.csv', newline='') as file:
        assert {row['identity'] for row in csv.DictReader(file)} == {'1', '2'}
    coco = json.loads((tmp_path / 'drawn/coco_keypoints.json').read_text())
    assert [annotation['attributes']['track_id'] for annotation in coco['annotations']] == sum(
        numbers.values(), [])


def test_a_stride_keeps_names_and_times(predict, tmp_path):
    from refinepose_mm.deploy.video import Video
    every, some = predict('--draw', 'none'), predict('--stride', '5', '--threshold', '9')
    assert list(some) == [str(number) for number in range(0, 36, 5)]
    for name, line in some.items():
        assert line['time'] == every[name]['time'] == int(name) / 25
        assert [person['box'] for person in line['persons']] == [
            person['box'] for person in every[name]['persons']]
    times = [frame.time for frame in Video(tmp_path / 'drawn/crossing.mp4')]
    assert times == [Fraction(int(name), 25) for name in some]


def test_smoothing_calms_the_keypoints(predict):
    def tremble(lines):
        ways = {}
        for line in lines.values():
            for person in line['persons']:
                ways.setdefault(person['identity'], []).append(person['keypoints'])
        return np.mean([np.abs(np.diff(way, 2, axis=0)).mean() for way in ways.values()])

    smooth, raw = (tremble(predict('--draw', 'none', *words)) for words in (['--smooth'], []))
    assert smooth < .8 * raw


def test_whole_frames_have_no_identities(predict):
    lines = predict('--draw', 'none', '--smooth', '--stride', '9', boxes=False)
    assert len(lines) == 4
    assert not any('identity' in person for line in lines.values() for person in line['persons'])


@pytest.mark.parametrize('words, message', [
    (('--stride', '2'), 'is no video, so there is no stride of 2 frames'),
    (('--stride', '0'), 'the stride must be at least 1, got 0'),
    (('--smooth', ), '--smooth is for videos and streams')])
def test_photos_have_neither_stride_nor_smoothing(checkpoint, tmp_path, capsys, words, message):
    (tmp_path / 'a.png').write_bytes(b'')
    assert cli.main(['predict', str(tmp_path / 'a.png'), '--config', CONFIG, '--weights',
                     checkpoint, '--output', str(tmp_path / 'drawn'), *words]) == 2
    assert message in capsys.readouterr().err
