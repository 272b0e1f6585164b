"""`refinepose check`: each oddity of a json is named, and a clean one is called clean."""

from __future__ import annotations

import json
import shutil

import dirty
import numpy as np
import pytest
from PIL import Image

from refinepose_mm import cli
from refinepose_mm.own_data.check import check as findings_of
from refinepose_mm.own_data.findings import annotation_findings
from refinepose_mm.own_data.photos import look
from refinepose_mm.own_data.schema import read_data
from refinepose_mm.own_data.symmetry import (
    exchanged,
    normalised,
    off_the_middle,
    pairs_by_data,
    pairs_by_name,
)


@pytest.fixture(scope='module')
def toy(tmp_path_factory):
    return dirty.draw(tmp_path_factory.mktemp('toy'))


@pytest.fixture
def copy(toy, tmp_path, monkeypatch):
    """The toy people's json and photos to spoil; commands run in an empty folder beside it."""
    shutil.copytree(toy, tmp_path / 'toy')
    (tmp_path / 'here').mkdir()
    monkeypatch.chdir(tmp_path / 'here')
    return tmp_path / 'toy'


def check(*words, code):
    assert cli.main(['check', *map(str, words)]) == code


def test_clean_people_are_called_clean(copy, capsys, tmp_path):
    check(dirty.toy_json(copy), '--val', dirty.toy_json(copy, 'val'), code=0)
    output = capsys.readouterr().out
    assert '!' not in output and output.strip().endswith('nothing is wrong')
    assert '8 of 8: joints change places in a mirror, by name' in output
    assert [path.name for path in (tmp_path / 'here').iterdir()] == [
        'person_keypoints_train_check.png']


@pytest.mark.parametrize('name', dirty.DIRT)
def test_dirt_is_named(copy, name):
    spoil, expected = dirty.DIRT[name]
    path = dirty.toy_json(copy)
    data = json.loads(path.read_text())
    spoil(data, copy / 'train')
    path.write_text(json.dumps(data))
    found, _, _ = findings_of(read_data(path), str(copy / 'train'), None)
    wrong = [str(finding) for finding in found if not finding.note]
    assert any(expected in finding for finding in wrong), wrong


def test_a_finding_says_how_many_and_names_three(copy, capsys):
    path = dirty.toy_json(copy)
    data = json.loads(path.read_text())
    for person in data['annotations'][:4]:
        del person['bbox']
    path.write_text(json.dumps(data))
    check(path, code=1)
    names = [f'{person["id"]} ({person["image_id"]:012d}.jpg)' for person in data['annotations']]
    assert (f'boxes           4 of {len(names)}: annotations have no bbox: '
            f'{", ".join(names[:3])}, ...\n') in capsys.readouterr().out


def test_photos_of_both_splits_are_named(copy, capsys):
    first = copy / 'train' / '000000000001.jpg'
    shutil.copy(first, copy / 'val/000000000002.jpg')
    check(dirty.toy_json(copy), '--val', dirty.toy_json(copy, 'val'), code=1)
    assert ('across splits   1 of 8: photos of the validation look like one of the training: '
            '000000000002.jpg = 000000000001.jpg') in capsys.readouterr().out


def test_grey_and_deep_photos_crowds_and_bare_persons_are_notes(copy, capsys):
    path = dirty.toy_json(copy)
    data = json.loads(path.read_text())
    with Image.open(copy / 'train/000000000001.jpg') as photo:
        photo.convert('L').save(copy / 'train/000000000001.jpg')
        deep = np.asarray(photo.convert('L')).astype(np.uint16) * 200
    Image.fromarray(deep).save(copy / 'train/deep.png')
    data['images'][1]['file_name'] = 'deep.png'
    data['annotations'][0]['iscrowd'] = 1
    data['annotations'][1].update(keypoints=[0] * 51, num_keypoints=0)
    path.write_text(json.dumps(data))
    check(path, code=0)
    output = capsys.readouterr().out
    for words in ('1 of 36: photos are grey: 000000000001.jpg',
                  '1 of 36: photos have 16 bits and are read as 8: deep.png',
                  ': annotations are crowds, which training leaves out: 1 (',
                  ': annotations have no labelled joint; training leaves them out: 2 ('):
        assert words in output


@pytest.mark.parametrize(('content', 'reason'), [
    ('{"images": [', 'is not json'),
    ('[]', 'no list of images, annotations, categories'),
    ('{"images": [], "annotations": 3, "categories": []}', 'no list of annotations')])
def test_what_is_no_json_of_keypoints_is_refused(tmp_path, monkeypatch, capsys, content, reason):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'data.json').write_text(content)
    check('data.json', code=2)
    assert reason in capsys.readouterr().err.strip()
    check('other.json', code=2)
    assert capsys.readouterr().err.strip() == 'refinepose check: other.json not found'
    check('', code=2)
    assert capsys.readouterr().err.strip() == 'refinepose check: a file without a name not found'
    check(tmp_path, code=2)
    assert capsys.readouterr().err.strip().endswith('is a folder, expected a file')


def test_the_sheet_replaces_nothing_that_is_read(copy, capsys):
    source = dirty.toy_json(copy)
    before = {path: path.read_bytes() for path in copy.rglob('*') if path.is_file()}
    for output in (source, dirty.toy_json(copy, 'val'), next((copy / 'train').glob('*.jpg'))):
        check(source, '--val', dirty.toy_json(copy, 'val'), '--output', output, code=2)
        assert f'output {output} is the input' in capsys.readouterr().err
    check(source, '--val', '', code=2)  # not the same as no --val
    assert before == {path: path.read_bytes() for path in copy.rglob('*') if path.is_file()}


def test_crowds_alone_are_nothing_to_learn_from(copy, capsys):
    path = dirty.toy_json(copy)
    data = json.loads(path.read_text())
    for annotation in data['annotations']:
        annotation['iscrowd'] = 1
    path.write_text(json.dumps(data))
    check(path, code=1)
    assert '! annotations     training can use none of them' in capsys.readouterr().out


def test_numbers_without_end_are_no_numbers(copy, capsys):
    """json has integers that no float holds."""
    path = dirty.toy_json(copy)
    data = json.loads(path.read_text())
    data['annotations'][0]['bbox'][0] = data['annotations'][1]['keypoints'][0] = 10**400
    path.write_text(json.dumps(data))
    check(path, code=1)
    assert capsys.readouterr().out.count('OverflowError') == 0


def test_photos_beyond_pillows_limit_are_read(copy, monkeypatch):
    """As training reads them."""
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 9)
    assert look(next((copy / 'train').glob('*.jpg'))).problem == ''


def test_photos_that_are_nowhere_are_said_and_the_rest_is_checked(copy, capsys):
    shutil.rmtree(copy / 'train')
    check(dirty.toy_json(copy), code=1)
    assert 'name their folder with --images' in capsys.readouterr().out
    check(dirty.toy_json(copy), '--images', copy / 'train', code=2)


@pytest.mark.parametrize(('names', 'pairs', 'lonely'), [
    (['nose', 'left_eye', 'right_eye'], [(1, 2)], []),
    (['LKnee', 'RKnee', 'Head'], [(0, 1)], []),
    (['knee_r', 'knee_l', 'tail'], [(1, 0)], []),
    (['leftknee', 'rightknee'], [(0, 1)], []),
    (['Knee (left)', 'Knee (right)'], [(0, 1)], []),
    (['L_F_Paw', 'R_F_Paw', 'L_B_Paw', 'R_B_Paw'], [(0, 1), (2, 3)], []),
    (['left_hand_1', 'left_hand_2', 'right_hand_1', 'right_hand_2'], [(0, 2), (1, 3)], []),
    (['left_eye', 'right_ear'], [], [0, 1]),
    (['bolt', 'lever', 'rod'], [], []),
])
def test_left_and_right_are_read_in_names(names, pairs, lonely):
    assert pairs_by_name(names) == (pairs, lonely)


def test_other_languages_are_read_when_told():
    names = ['knie_links', 'knie_rechts']
    assert pairs_by_name(names).pairs == []
    assert pairs_by_name(names, ('links', 'rechts')).pairs == [(0, 1)]


@pytest.fixture(scope='module')
def lspet(photos):
    return photos / 'lspet'


def test_a_strangers_photos_are_found_and_their_faults_too(lspet, tmp_path, monkeypatch, capsys):
    """500 real photos; nobody says where they are."""
    monkeypatch.chdir(tmp_path)
    check(lspet / 'lspet_val.json', code=0)
    output = capsys.readouterr().out
    assert '500 images, 500 annotations, 14 joints; training can use 500' in output
    assert '6 of 7: joints change places in a mirror, by name' in output
    assert 'the mirrored mean pose finds 6 of these pairs, and no other' in output
    with Image.open('lspet_val_check.png') as sheet:
        assert min(sheet.size) > 1000


def test_real_joints_without_names_are_paired_by_the_data(lspet):
    data = read_data(lspet / 'lspet_train.json')
    by_name = pairs_by_name(data.names)
    places = normalised(data)
    assert pairs_by_data(places) == sorted((min(pair), max(pair)) for pair in by_name.pairs)
    assert exchanged(places, by_name.pairs) == [] and off_the_middle(places, by_name.pairs) == []
    # A wrist whose sides are exchanged, and one that has lost its partner.
    wrong = [(pair[1], pair[0]) if data.names[pair[0]] == 'left_wrist' else pair
             for pair in by_name.pairs]
    assert [data.names[left] for left, _ in exchanged(places, wrong)] == ['right_wrist']
    lost = [pair for pair in by_name.pairs if data.names[pair[0]] != 'left_wrist']
    assert {data.names[joint] for joint in off_the_middle(places, lost)} == {
        'left_wrist', 'right_wrist'}


def test_only_real_faults_are_found_in_real_annotations(photos):
    data = read_data(photos / 'lspet/lspet_train.json')
    found = [finding for finding in annotation_findings(data) if not finding.note]
    assert [(finding.text, len(finding.names)) for finding in found] == [
        ('annotations have labelled joints outside of the photo', 3)]
