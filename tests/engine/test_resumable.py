"""`--resume` takes the newest complete checkpoint of its own folder, says which, executes none."""

import re
import shutil

import pytest
import torch
from small_run import small_run

from refinepose_mm.engine.resume import newest_complete

TEMPLATES = ('epoch_{}.pth', 'iter_{}.pth')


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """The folder of a run of three epochs with all its checkpoints."""
    folder = tmp_path_factory.mktemp('finished') / 'run'
    small_run(folder, max_keep_ckpts=-1).train()
    return folder


@pytest.fixture
def run(finished, tmp_path):
    """A copy of it, whose last_checkpoint still names the original."""
    return shutil.copytree(finished, tmp_path / 'copy')


def resume(folder, **keywords):
    """Train one epoch more, and what the log says."""
    runner = small_run(folder, epochs=4, resume=True, max_keep_ckpts=-1, **keywords)
    runner.train()
    log, = folder.glob(f'*/{runner.timestamp}.log')
    return runner, log.read_text().rpartition('Config:')[2]  # of this run, in a shared second


def edit(path, change):
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)


@pytest.mark.parametrize('last', [None, '', 'epoch_1.pth', '/nowhere/epoch_9.pth', 'copied'])
def test_the_newest_of_this_folder_whatever_last_checkpoint_says(run, finished, last):
    named = run / 'last_checkpoint'
    if last is None:
        named.unlink()
    elif last != 'copied':
        named.write_text(last)
    before = {path.name: path.stat().st_mtime_ns for path in finished.iterdir()}
    runner, log = resume(run)
    assert f'Resuming from {run / "epoch_3.pth"} (epoch 3, iteration 6)' in log
    assert 'Epoch(train) [4][2/2]' in log and 'Epoch(train) [1]' not in log
    assert named.read_text() == str(run / 'epoch_4.pth')
    assert before == {path.name: path.stat().st_mtime_ns for path in finished.iterdir()}


def cut(path):
    path.write_bytes(path.read_bytes()[:-300])


def empty(path):
    path.write_bytes(b'')


def flip(path):
    """One bit of the weights, which torch does not notice."""
    content = bytearray(path.read_bytes())
    place = content.index(torch.load(path, weights_only=True)['state_dict'][
        'layer.weight'].numpy().tobytes())
    content[place] ^= 1
    path.write_bytes(content)


def spoil(path):
    edit(path, lambda content: content['state_dict']['layer.bias'].fill_(float('nan')))


class Evil:
    def __reduce__(self):
        return eval, ('1', )


def craft(path):
    torch.save(Evil(), path)


def strip(path):
    edit(path, lambda content: content.pop('message_hub'))


@pytest.mark.parametrize('damage, reason', [
    (cut, 'is incomplete'), (empty, 'is incomplete'),
    (flip, 'is damaged (checksum'), (spoil, '1 tensors that are not finite (layer.bias)'),
    (craft, 'cannot be read (it wants to load eval, which is refused)'),
    (strip, 'has no message_hub to resume from')])
def test_a_broken_one_is_named_and_skipped(run, damage, reason):
    damage(run / 'epoch_3.pth')
    runner, log = resume(run)
    assert 'Checkpoint skipped: epoch_3.pth' in log and reason in log
    assert f'Resuming from {run / "epoch_2.pth"} (epoch 2, iteration 4)' in log
    newest_complete(run, TEMPLATES)
    assert newest_complete(run, TEMPLATES).path.name == 'epoch_4.pth'


def put(*keys, value):
    """A change that sets what stands under keys."""

    def change(content):
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return lambda path: edit(path, change)


@pytest.mark.parametrize('damage, reason', [
    (put('state_dict', 'layer.bias', value=torch.zeros(1).expand(10**6)),
     'state_dict.layer.bias, which is sparse, quantised, repeated or not on the CPU'),
    (put('state_dict', 'layer.bias', value=torch.zeros(9, 9).to_sparse()), 'state_dict.layer.bias'),
    (put('state_dict', 'layer.bias', value=torch.zeros(9, device='meta')), 'state_dict.layer.bias'),
    (put('optimizer', 'state', 0, 'exp_avg', value=torch.zeros(1).expand(10**6)),
     'holds optimizer.state.0.exp_avg'),
    (put('state_dict', 7, value=torch.zeros(1)), 'no table of tensors'),
    (put('state_dict', 'layer.bias', value='text'), 'no table of tensors'),
    (put('meta', 'epoch', value=-1), 'no number for meta.epoch'),
    (put('meta', 'iter', value=10**30), 'no number for meta.iter'),
    (put('meta', 'seed', value='x'), 'in the place of meta.seed'),
    (put('optimizer', value=7), 'in the place of optimizer'),
    (put('param_schedulers', value=7), 'in the place of param_schedulers'),
    (put('message_hub', 'log_scalars', value=7), 'in the place of message_hub.log_scalars'),
    (put('message_hub', 'runtime_info', value=[7]), 'in the place of message_hub.runtime_info'),
])
def test_a_crafted_one_is_named_and_skipped(run, damage, reason):
    """None of these ends in a traceback, or asks for more memory than the file has."""
    damage(run / 'epoch_3.pth')
    found = newest_complete(run, TEMPLATES)
    assert found.path.name == 'epoch_2.pth'
    assert reason in found.skipped[0]


@pytest.mark.parametrize('damage', [
    put('message_hub', 'log_scalars', 'train/loss', value=dict(
        log_history='x', count_history=3, max_length='y')),
    put('message_hub', 'log_scalars', 'train/loss', value=dict(
        log_history=torch.ones(1), count_history=torch.ones(2), max_length=9)),
    put('message_hub', 'log_scalars', 'train/loss', value=7),
])
def test_a_history_that_is_none_is_left_out(run, damage):
    damage(run / 'epoch_3.pth')
    runner, _ = resume(run)
    assert runner.epoch == 4


def test_a_best_score_that_is_none_is_forgotten(finished, tmp_path):
    small_run(tmp_path, epochs=1, validate=True, save_best='score', rule='greater').train()
    put('message_hub', 'runtime_info', 'best_score', value='high')(tmp_path / 'epoch_1.pth')
    runner = small_run(tmp_path, epochs=2, resume=True, validate=True, save_best='score',
                       rule='greater')
    runner.train()
    assert runner.message_hub.get_info('best_score') == 0


def test_none_complete_is_an_error_and_changes_nothing(run):
    for path in run.glob('*.pth'):
        cut(path)
    before = sorted((path.name, path.stat().st_size) for path in run.glob('*.pth'))
    with pytest.raises(FileNotFoundError, match='no complete checkpoint in .*epoch_1.pth is inc.*'
                       'epoch_3.pth is inc.*start anew with another --work-dir'):
        resume(run)
    assert before == sorted((path.name, path.stat().st_size) for path in run.glob('*.pth'))


def test_none_at_all_is_an_error_if_there_was_one(run):
    for path in run.glob('*.pth'):
        path.unlink()
    with pytest.raises(FileNotFoundError, match='no checkpoint in .*names .*epoch_3.pth; to go on'):
        resume(run)


@pytest.mark.parametrize('last', [None, ''])
def test_a_new_folder_starts_anew(tmp_path, last):
    if last is not None:
        (tmp_path / 'last_checkpoint').write_text(last)
    runner, log = resume(tmp_path)
    assert f'No checkpoint in {tmp_path}: the run starts anew' in log and runner.epoch == 4


def test_saved_last_counts_not_the_highest_number(run):
    """After going back to epoch 1, epochs 2 and 3 are of a branch that was given up."""
    edit(run / 'epoch_1.pth', lambda content: content['meta'].update(time='29990101_000000'))
    assert newest_complete(run, TEMPLATES).path.name == 'epoch_1.pth'


def test_best_and_published_ones_are_not_resumed_from(run):
    for name in ('best_coco_AP_epoch_9.pth', 'epoch_9-0a1b2c3d.pth', 'epoch_x.pth'):
        shutil.copy(run / 'epoch_3.pth', run / name)
    assert newest_complete(run, TEMPLATES).path.name == 'epoch_3.pth'


def test_a_named_file_is_taken_or_refused_with_a_reason(run, tmp_path):
    runner, log = resume(tmp_path / 'other', load_from=str(run / 'epoch_2.pth'))
    assert 'Epoch(train) [3]' in log and 'Epoch(train) [2]' not in log
    torch.save(dict(state_dict={}), run / 'weights.pth')
    with pytest.raises(ValueError, match='weights.pth has no meta, message_hub to resume from'):
        resume(tmp_path / 'other', load_from=str(run / 'weights.pth'))
    cut(run / 'epoch_1.pth')
    with pytest.raises(ValueError, match='epoch_1.pth is incomplete'):
        resume(tmp_path / 'other', load_from=str(run / 'epoch_1.pth'))


@pytest.mark.parametrize('key', ['config', 'cfg'])
@pytest.mark.parametrize('named', [True, False])
def test_a_config_in_a_checkpoint_is_compared_and_never_executed(run, tmp_path, key, named):
    code = f"open({str(tmp_path / 'executed')!r}, 'w')\nescape = '\x1b[31m'\n"
    path = run / 'epoch_3.pth'
    edit(path, lambda content: content['meta'].update({key: code}))
    runner, log = resume(run, load_from=str(path) if named else None)
    assert not (tmp_path / 'executed').exists()
    assert 'The config differs from the one in the checkpoint' in log
    assert '- open(' in log and '\x1b' not in log


def test_an_equal_config_and_data_set_are_not_worth_a_word(run):
    keywords = dict(epochs=3, resume=True, max_keep_ckpts=-1)
    (run / 'epoch_3.pth').unlink()
    runner = small_run(run, **keywords)
    runner.train()
    log, = run.glob(f'*/{runner.timestamp}.log')
    text = log.read_text().rpartition('Config:')[2]
    assert 'Resuming from' in text
    assert 'dataset metainfo' not in text
    # All that is new: that it resumes, and the name that small_run counts.
    changed = re.findall(r'^[-+] .*', text, re.MULTILINE)
    assert [line[2:17] for line in changed] == ['experiment_name'] * 2


