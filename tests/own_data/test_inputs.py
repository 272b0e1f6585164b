"""Exports of YOLO-pose, Label Studio and CVAT give the persons that went in."""

from __future__ import annotations

import json
from xml.sax.saxutils import quoteattr

import dirty
import numpy as np
import pytest

from refinepose_mm import cli
from refinepose_mm.deploy.tables import Joints, Lines, write_table
from refinepose_mm.own_data.inputs import read_input
from refinepose_mm.own_data.photos import find_folder
from refinepose_mm.own_data.schema import read_data
from refinepose_mm.own_data.symmetry import pairs_of
from refinepose_mm.own_data.yolo import COCO_FLIP

WIDTH, HEIGHT = 320, 240


@pytest.fixture(scope='module')
def toy(tmp_path_factory):
    return dirty.draw(tmp_path_factory.mktemp('toy'), train=12, val=4)


@pytest.fixture(scope='module')
def truth(toy):
    return read_data(dirty.toy_json(toy))


def require_same(data, truth, box_tolerance=.02, flags=True):
    """The same persons, of the photos of the same name, in any order."""
    assert data.names == truth.names and data.named
    assert len(data.persons) == len(truth.persons)

    def order(one):
        points = np.nan_to_num(one.joints * (one.joints[..., 2:] > 0)).sum((1, 2))
        return sorted(range(len(one.persons)), key=lambda row: (
            one.file_name(int(one.photo_of[row])).split('/')[-1], round(points[row])))

    ours, theirs = order(data), order(truth)
    known = truth.labelled[theirs]
    np.testing.assert_array_equal(data.labelled[ours], known)
    np.testing.assert_allclose(data.joints[ours][..., :2][known],
                               truth.joints[theirs][..., :2][known], atol=.02)
    if flags:
        np.testing.assert_array_equal(data.joints[ours][..., 2][known],
                                      truth.joints[theirs][..., 2][known])
    if box_tolerance:
        np.testing.assert_allclose(data.boxes[ours], truth.boxes[theirs], atol=box_tolerance)
    np.testing.assert_array_equal(data.sizes, truth.sizes)


def as_yolo(toy, folder, values=3, **extra):
    """The toy people as YOLO-pose, with folders images/ and labels/."""
    content = dict(path=str(folder), train='images/train', val='images/val',
                   kpt_shape=[17, values], flip_idx=COCO_FLIP, names={0: 'person'}, **extra)
    for part in ('train', 'val'):
        data = read_data(dirty.toy_json(toy, part))
        (folder / 'images').mkdir(parents=True, exist_ok=True)
        (folder / 'images' / part).symlink_to(toy / part)
        labels = folder / 'labels' / part
        labels.mkdir(parents=True)
        for row in np.flatnonzero(data.labelled.any(1)):
            left, top, width, height = data.boxes[row]
            numbers = [0, (left + width / 2) / WIDTH, (top + height / 2) / HEIGHT, width / WIDTH,
                       height / HEIGHT]
            for x, y, v in data.joints[row]:
                numbers += [x / WIDTH, y / HEIGHT, v][:values]
            name = data.file_name(int(data.photo_of[row])).replace('.jpg', '.txt')
            with open(labels / name, 'a') as file:
                file.write(' '.join(f'{number:.6f}' for number in numbers) + '\n')
    path = folder / 'data.yaml'
    path.write_text(json.dumps(content))  # json is yaml
    return path


def labelled_only(truth):
    """Without the persons that have no joint, who are in no text file."""
    keep = truth.labelled.any(1)
    truth = read_data(truth.path)
    truth.persons = [person for person, kept in zip(truth.persons, keep) if kept]
    for name in ('photo_of', 'boxes', 'joints', 'areas', 'crowd'):
        setattr(truth, name, getattr(truth, name)[keep])
    return truth


@pytest.mark.parametrize('values', [2, 3])
def test_yolo(toy, truth, tmp_path, values):
    data = read_input(as_yolo(toy, tmp_path / 'yolo', values))
    # Without v a labelled joint is a visible one.
    require_same(data, labelled_only(truth), flags=values == 3)
    assert data.pairs == [(joint, joint + 1) for joint in range(1, 17, 2)]
    assert find_folder(data) == (tmp_path / 'yolo').resolve()
    assert len(read_input(tmp_path / 'yolo/data.yaml', part='val').photos) == 4


def test_yolo_names_and_partners(toy, tmp_path):
    names = [f'part {number}' for number in range(17)]
    path = as_yolo(toy, tmp_path / 'named', kpt_names={0: names})
    data = read_input(path)
    assert data.names == names and len(pairs_of(data).pairs) == 8
    content = json.loads(path.read_text())
    content.update(kpt_names=None, flip_idx=list(range(17)))
    path.write_text(json.dumps(content))
    data = read_input(path)
    assert data.names[0] == 'joint_1' and pairs_of(data).pairs == []
    assert 'has no kpt_names' in data.remarks[0][0]


@pytest.mark.parametrize(('change', 'line', 'reason'), [
    (dict(kpt_shape=[17]), None, 'kpt_shape must be [joints, 2 or 3], got [17]'),
    (dict(flip_idx=[0, 2, 1]), None, 'flip_idx must name the mirror partner of each of 17 joints'),
    (dict(kpt_names=['nose']), None, 'kpt_names has 1 names, kpt_shape 17 joints'),
    (dict(train=None, val=None), None, 'has no train'),
    ({}, '0 .5 .5 .1 .1', 'expected 56 numbers (class, box and joints), got 5'),
    ({}, ' '.join(['0', *['x'] * 55]), 'is not 56 numbers'),
    ({}, ' '.join(['7', *['.5'] * 55]), 'class 7 is not among the 1 of')])
def test_what_is_no_yolo_is_refused_with_its_line(toy, tmp_path, capsys, monkeypatch, change, line,
                                                  reason):
    monkeypatch.chdir(tmp_path)
    path = as_yolo(toy, tmp_path / 'yolo')
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    if line:
        text = next((tmp_path / 'yolo/labels/train').iterdir())
        text.write_text(text.read_text() + line)
        reason = f'line {len(text.read_text().splitlines())}: {reason}' if 'expected' in (
            reason) else reason
    assert cli.main(['check', str(path)]) == 2
    assert reason in capsys.readouterr().err


def test_yolo_is_checked_and_makes_a_project(toy, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = as_yolo(toy, tmp_path / 'yolo')
    assert cli.main(['check', str(path)]) in (0, 1)
    output = capsys.readouterr().out
    assert '12 images' in output and '4 images' in output  # both parts
    assert (tmp_path / 'data_check.png').is_file()
    assert cli.main(['new', str(path), '--output', 'made']) == 0
    train = json.loads((tmp_path / 'made/train.json').read_text())
    assert len(train['images']) == len({*map(str, (toy / 'train').iterdir())})
    assert train['categories'][0]['keypoints'][5] == 'left_shoulder'
    assert "('left_hip', 'right_hip', left" in (tmp_path / 'made/metainfo.py').read_text()
    assert cli.main(['new', str(dirty.toy_json(toy)), '--output', 'other']) == 2
    assert '--val or --split is needed' in capsys.readouterr().err


@pytest.fixture
def label_studio(truth, tmp_path):
    """What `refinepose predict --format label-studio` writes, of the true persons."""
    lines = []
    for place, photo in enumerate(truth.photos):
        persons = []
        for row in np.flatnonzero(truth.photo_of == place):
            left, top, width, height = truth.boxes[row].tolist()
            persons.append(dict(
                names=truth.names, keypoints=truth.joints[row, :, :2].tolist(),
                scores=(truth.joints[row, :, 2] / 2).tolist(), score=.5,
                box=[left, top, left + width, top + height]))
        lines.append(dict(name=photo['file_name'], width=WIDTH, height=HEIGHT, persons=persons))
    source = tmp_path / 'predictions.jsonl'
    source.write_text('\n'.join(map(json.dumps, lines)))
    write_table('label-studio', Lines(source, Joints(truth.names, truth.skeleton), .7), tmp_path)
    path = tmp_path / 'label_studio.json'
    tasks = json.loads(path.read_text())
    for task in tasks:  # joints without a place were not predicted
        for one in task['predictions']:
            one['result'] = [result for result in one['result']
                             if result['type'] != 'keypointlabels' or result['score'] > 0]
    path.write_text(json.dumps(tasks))
    return path


def test_label_studio_takes_what_we_wrote_for_it(label_studio, truth):
    data = read_input(label_studio)
    require_same(data, truth)
    assert 'predictions, which are taken' in data.remarks[0][0]


def corrected(label_studio, change=None):
    """As somebody has corrected it: annotations, and an upload's address."""
    tasks = json.loads(label_studio.read_text())
    for number, task in enumerate(tasks):
        task['annotations'] = [dict(was_cancelled=True, result=[]), dict(
            result=task.pop('predictions')[0]['result'])]
        name = task['data']['image'].split('=')[1]
        task['data']['image'] = f'/data/upload/3/0123abc{number:x}-{name}'
        for result in task['annotations'][1]['result']:
            (change or (lambda result: None))(result)
    label_studio.write_text(json.dumps(tasks))
    return tasks


def test_label_studios_annotations_of_uploads(label_studio, truth, toy):
    corrected(label_studio)
    data = read_input(label_studio, toy / 'train')
    require_same(data, truth)
    assert data.remarks == []


def test_without_parents_the_smallest_rectangle_takes_a_joint(label_studio, truth, toy):
    corrected(label_studio, lambda result: result.pop('parentID', None))
    data = read_input(label_studio, toy / 'train')
    total = truth.labelled.sum()
    assert abs(data.labelled.sum() - total) < .1 * total


def test_json_min(label_studio, truth, toy):
    tasks = corrected(label_studio)
    small = []
    for task in tasks:
        values: dict = dict(image=task['data']['image'], id=1)
        for result in task['annotations'][1]['result']:
            values.setdefault(result['from_name'], []).append(dict(
                result['value'], original_width=WIDTH, original_height=HEIGHT))
        small.append(values)
    label_studio.write_text(json.dumps(small))
    data = read_input(label_studio, toy / 'train')
    assert data.names == truth.names and len(data.persons) == len(truth.persons)
    alone = [row for row in range(len(truth.persons))
             if (truth.photo_of == truth.photo_of[row]).sum() == 1]
    assert alone
    for row in alone:
        ours = np.flatnonzero(data.photo_of == truth.photo_of[row])[0]
        np.testing.assert_array_equal(data.labelled[ours], truth.labelled[row])
        np.testing.assert_allclose(data.boxes[ours], truth.boxes[row], atol=.02)


def test_label_studio_by_hand(tmp_path):
    """A turned rectangle, a photo without one, and a joint that is there twice."""
    def point(x, y, label, **more):
        return dict(type='keypointlabels', original_width=200, original_height=100, id=f'{x}{y}',
                    value=dict(x=x, y=y, width=1, keypointlabels=[label], **more))

    def task(name, *results):
        return dict(data=dict(image=f'https://host/a/{name}?x=1'), annotations=[dict(
            result=list(results))])

    turned = dict(
        type='rectanglelabels', original_width=200, original_height=100, id='r',
        value=dict(x=50, y=0, width=10, height=40, rotation=90, rectanglelabels=['cat']))
    (tmp_path / 'export.json').write_text(json.dumps([
        task('one.jpg', turned, point(40, 10, 'tail'), point(45, 12, 'nose', hidden=True),
             point(41, 12, 'tail')),
        task('two%20b.png', point(10, 10, 'nose'), point(30, 60, 'tail'))]))
    data = read_input(tmp_path / 'export.json')
    assert data.names == ['tail', 'nose'] and [photo['file_name'] for photo in data.photos] == [
        'one.jpg', 'two b.png']
    np.testing.assert_allclose(data.boxes[0], [60, 0, 40, 20], atol=1e-9)  # 20 x 40, turned
    np.testing.assert_allclose(data.joints[0], [[80, 10, 2], [90, 12, 1]])
    np.testing.assert_allclose(data.boxes[1], [16, 5, 48, 60])  # 20..60, 10..60, and a tenth
    assert [text.split(';')[0] for text, _ in data.remarks] == [
        'photos have no rectangle', 'joints are there twice, and the first is taken']


def as_cvat(truth, path, boxes=True):
    """The toy people as CVAT exports a task."""
    labels = ['<label><name>person</name><type>skeleton</type><svg>'
              + quoteattr(''.join(
                  [f'<line data-node-from="{start + 1}" data-node-to="{end + 1}"/>'
                   for start, end in truth.skeleton]
                  + [f'<circle data-node-id="{number}" data-label-name="{name}"/>'
                     for number, name in enumerate(truth.names, 1)]))[1:-1].replace("'", '"')
              + '</svg></label>']
    labels += [f'<label><name>{name}</name><type>points</type><parent>person</parent></label>'
               for name in truth.names]
    lines = ['<annotations><version>1.1</version><meta><task><labels>', *labels,
             '</labels></task></meta>']
    for place, photo in enumerate(truth.photos):
        lines.append(f'<image id="{place}" name={quoteattr(photo["file_name"])} width="{WIDTH}" '
                     f'height="{HEIGHT}">')
        for row in np.flatnonzero(truth.photo_of == place):
            left, top, width, height = truth.boxes[row]
            if boxes:
                lines.append(f'<box label="person" group_id="{row + 1}" xtl="{left}" ytl="{top}" '
                             f'xbr="{left + width}" ybr="{top + height}"/>')
            lines.append(f'<skeleton label="person" group_id="{row + 1}">')
            lines += [f'<points label="{name}" outside="{int(v == 0)}" occluded="{int(v == 1)}" '
                      f'points="{x:.2f},{y:.2f}"/>'
                      for name, (x, y, v) in zip(truth.names, truth.joints[row])]
            lines.append('</skeleton>')
        lines.append('</image>')
    path.write_text('\n'.join([*lines, '</annotations>']))
    return path


def test_cvat(truth, tmp_path):
    data = read_input(as_cvat(truth, tmp_path / 'annotations.xml'))
    require_same(data, truth)
    assert data.skeleton == truth.skeleton and data.remarks == []


def test_cvat_without_boxes_draws_them_around_the_joints(truth, tmp_path):
    data = read_input(as_cvat(truth, tmp_path / 'annotations.xml', boxes=False))
    require_same(data, truth, box_tolerance=0)
    row = int(np.argmax(truth.labelled.sum(1)))
    places = truth.joints[row][truth.labelled[row]][:, :2]
    low, size = places.min(0), np.ptp(places, 0)
    np.testing.assert_allclose(data.boxes[row], [*(low - .1 * size), *(1.2 * size)], atol=.1)
    assert 'the box is drawn around the joints' in data.remarks[0][0]


@pytest.mark.parametrize(('text', 'reason'), [
    ('<annotations>', 'is not xml'),
    ('<html/>', 'is no xml of CVAT: its root is html'),
    ('<annotations><track/></annotations>', 'is "CVAT for video"; export the task as'),
    ('<annotations><image name="a.jpg" width="5" height="5"><points label="x" points="1,2"/>'
     '</image></annotations>', 'has no skeletons'),
    ('<annotations><image name="a.jpg" width="w" height="5"><skeleton label="p"><points label="x" '
     "points='1,2'/></skeleton></image></annotations>", "width of a image is 'w'"),
    ('<annotations><image name="a.jpg" width="5" height="5"><skeleton label="p"><points label="x" '
     "points='1'/></skeleton></image></annotations>", 'points of x must be x,y; got 1')])
def test_what_is_no_cvat_is_refused(tmp_path, monkeypatch, capsys, text, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'annotations.xml').write_text(text)
    assert cli.main(['check', 'annotations.xml']) == 2
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize(('tasks', 'reason'), [
    ([3], 'task 1: expected an object, got a int'),
    ([dict(data=dict(text='hello'))], 'task 1: no field has the address of a photo'),
    ([dict(data=dict(image='a.jpg'))], 'no task has keypointlabels'),
    ([dict(data=dict(image='a.jpg'), annotations=[dict(result=[dict(
        type='keypointlabels', value=dict(x=1, y=1, keypointlabels=['nose']))])])],
     "a region of nose lacks a number: 'original_width'")])
def test_what_is_no_label_studio_is_refused(tmp_path, monkeypatch, capsys, tasks, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'export.json').write_text(json.dumps(tasks))
    assert cli.main(['check', 'export.json']) == 2
    assert reason in capsys.readouterr().err
