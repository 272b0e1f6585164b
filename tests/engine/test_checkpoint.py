"""A run that ends at any moment leaves complete checkpoints; a strange one harms nothing."""

import errno
import os
import pickle
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.registry import HOOKS
from small_run import EpochScore, small_run

from refinepose_mm.engine.checkpoint import AtomicBackend, remove_leftovers
from refinepose_mm.engine.plain import to_histories, to_plain


def names(folder):
    """The checkpoints and the file that names the last, without logs."""
    return sorted(path.name for path in Path(folder).iterdir()
                  if path.suffix == '.pth' or path.name == 'last_checkpoint')


def load(path):
    """As a Python without this package reads it: nothing but torch's own list."""
    with torch.serialization.safe_globals([]):
        allowed = torch.serialization.get_safe_globals()
        torch.serialization.clear_safe_globals()
        try:
            return torch.load(path, weights_only=True)
        finally:
            torch.serialization.add_safe_globals(allowed)


def interrupted(*arguments, epoch, **keywords):
    """Train until Ctrl-C comes before an epoch."""
    with pytest.raises(KeyboardInterrupt):
        small_run(*arguments, hooks=[dict(type='StopHook', epoch=epoch)], **keywords).train()


def test_two_are_kept_and_the_last_is_named(tmp_path):
    small_run(tmp_path, epochs=4).train()
    assert names(tmp_path) == ['epoch_3.pth', 'epoch_4.pth', 'last_checkpoint']
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'epoch_4.pth')


def test_write_then_name_then_delete(tmp_path, monkeypatch):
    """Each change of the folder, in order; nothing is deleted before its successor is on disk."""
    changes = []
    replace, remove = os.replace, AtomicBackend.remove

    def recorded_replace(source, target):
        changes.append(f'replace {Path(target).name}')
        replace(source, target)

    def recorded_remove(backend, path):
        changes.append(f'remove {Path(path).name}')
        remove(backend, path)

    monkeypatch.setattr(os, 'replace', recorded_replace)
    monkeypatch.setattr(AtomicBackend, 'remove', recorded_remove)
    EpochScore.scores = [.1, .2]
    small_run(tmp_path, epochs=2, validate=True, save_best='score', rule='greater',
              max_keep_ckpts=1).train()
    assert changes == [
        'replace epoch_1.pth', 'replace last_checkpoint', 'replace best_score_epoch_1.pth',
        'replace epoch_1.pth', 'replace last_checkpoint',  # again, to record the best
        'replace epoch_2.pth', 'replace last_checkpoint', 'remove epoch_1.pth',
        'replace best_score_epoch_2.pth', 'replace epoch_2.pth', 'replace last_checkpoint',
        'remove best_score_epoch_1.pth']


@pytest.mark.parametrize('metric', ['score', ['score']])
def test_a_worse_score_keeps_the_best(tmp_path, metric):
    best = dict(validate=True, save_best=metric, rule='greater')
    EpochScore.scores = [.1, .5, .3]
    interrupted(tmp_path, epoch=3, epochs=4, **best)
    assert 'best_score_epoch_2.pth' in names(tmp_path) and len(names(tmp_path)) == 4
    assert load(tmp_path / 'best_score_epoch_2.pth')['meta']['epoch'] == 2
    assert load(tmp_path / 'epoch_3.pth')['message_hub']['runtime_info']['best_score'] == .5


def test_a_better_score_replaces_the_best_also_after_a_worse_one(tmp_path):
    EpochScore.scores = [.1, .5, .3, .6]
    small_run(tmp_path, epochs=4, validate=True, save_best='score', rule='greater').train()
    assert names(tmp_path) == ['best_score_epoch_4.pth', 'epoch_3.pth', 'epoch_4.pth',
                               'last_checkpoint']


def test_several_metrics_have_a_best_each(tmp_path):
    EpochScore.scores = [.5, .4, .3]
    small_run(tmp_path, validate=True, save_best=['score', 'error'],
              rule=['greater', 'less']).train()
    assert names(tmp_path)[:2] == ['best_error_epoch_3.pth', 'best_score_epoch_1.pth']
    assert len(names(tmp_path)) == 5


def test_iterations_count_where_epochs_do_not(tmp_path):
    small_run(tmp_path, by_epoch=False, interval=2).train()
    assert names(tmp_path) == ['iter_4.pth', 'iter_6.pth', 'last_checkpoint']


def full_disk(monkeypatch, fails):
    """Let writes of some names fail as they do on a full disk, with half of it written."""
    write = Path.write_bytes

    def write_bytes(path, content):
        if fails in path.name:
            write(path, content[:len(content) // 2])
            raise OSError(errno.ENOSPC, 'No space left on device', str(path))
        return write(path, content)

    monkeypatch.setattr(Path, 'write_bytes', write_bytes)


@pytest.mark.parametrize('fails, left', [
    ('epoch_3.pth', ['best_score_epoch_2.pth', 'epoch_1.pth', 'epoch_2.pth']),
    ('best_score_epoch_3.pth', ['best_score_epoch_2.pth', 'epoch_2.pth', 'epoch_3.pth']),
    ('last_checkpoint', ['epoch_1.pth']),
])
def test_a_full_disk_costs_no_earlier_file(tmp_path, monkeypatch, fails, left):
    full_disk(monkeypatch, fails)
    EpochScore.scores = [.1, .2, .3]
    with pytest.raises(OSError, match='earlier files are untouched: No space left') as error:
        small_run(tmp_path, validate=True, save_best='score', rule='greater').train()
    assert error.value.errno == errno.ENOSPC and fails in error.value.filename
    assert [name for name in names(tmp_path) if name != 'last_checkpoint'] == left
    assert not list(tmp_path.glob('.*'))
    for name in left:
        load(tmp_path / name)
    monkeypatch.undo()
    EpochScore.scores = [.4, .5]
    small_run(tmp_path, resume=True, epochs=4, validate=True, save_best='score',
              rule='greater').train()
    assert names(tmp_path)[-3:] == ['epoch_3.pth', 'epoch_4.pth', 'last_checkpoint']


def test_a_limit_of_the_system_costs_no_earlier_file(tmp_path):
    """RLIMIT_FSIZE: the system itself stops the write in the middle of a file."""
    (tmp_path / 'a.pth').write_bytes(b'old')
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match='untouched'):
            AtomicBackend().put(bytes(5000), tmp_path / 'a.pth')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (tmp_path / 'a.pth').read_bytes() == b'old' and len(list(tmp_path.iterdir())) == 1


def killed_at_random(tmp_path, moments):
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', Path(__file__).with_name('kill_runs.py'), tmp_path,
         str(moments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert f'{moments} kills' in done.stdout


def test_kill_9_at_random_moments(tmp_path):
    killed_at_random(tmp_path, 5)


@pytest.mark.slow
def test_kill_9_at_fifty_random_moments(tmp_path):
    killed_at_random(tmp_path, 50)


def test_leftovers_of_killed_runs_are_deleted(tmp_path):
    for name, inside in (('.epoch_2.pth.ab12_z9x', 'epoch_2.pth'),
                         ('.last_checkpoint.ab12_z9x', 'last_checkpoint'),
                         ('.best_coco_AP_epoch_2.pth.ab12_z9x', None),
                         ('.epoch_3.pth.ab12_z9x', 'notes.txt'),
                         ('.git', 'config'), ('.env.pth', 'epoch_2.pth')):
        (tmp_path / name).mkdir()
        if inside:
            (tmp_path / name / inside).write_text('half')
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        '.env.pth', '.epoch_3.pth.ab12_z9x', '.git']


def test_a_start_deletes_leftovers(tmp_path):
    (tmp_path / 'disk/run/.epoch_1.pth.ab12_z9x').mkdir(parents=True)
    (tmp_path / 'run/.last_checkpoint.ab12_z9x').mkdir(parents=True)
    small_run(tmp_path / 'run', epochs=1, out_dir=str(tmp_path / 'disk')).train()
    assert not list(tmp_path.glob('**/.*'))


def test_the_file_needs_no_allow_list_and_resumes_completely(tmp_path):
    interrupted(tmp_path, epoch=2)
    saved = load(tmp_path / 'epoch_2.pth')
    assert saved['meta']['dataset_meta']['colours'].shape == (0, 3)
    runner = small_run(tmp_path, resume=True)
    runner.train()
    hub = MessageHub.get_current_instance()
    losses = hub.get_scalar('train/loss')
    assert type(losses) is HistoryBuffer and len(losses.data[0]) == 6
    kept = saved['message_hub']['log_scalars']['train/loss']['log_history']
    assert np.array_equal(losses.data[0][:4], kept.numpy())
    assert runner.param_schedulers[0]._global_step == 6  # of OneCycleLR, with its function


def test_resumed_run_ends_as_an_uninterrupted_one(tmp_path):
    small_run(tmp_path / 'whole').train()
    interrupted(tmp_path / 'broken', epoch=2)
    small_run(tmp_path / 'broken', resume=True).train()
    whole, broken = (load(tmp_path / name / 'epoch_3.pth') for name in ('whole', 'broken'))
    for name, value in whole['state_dict'].items():
        assert torch.equal(value, broken['state_dict'][name])
    assert str(whole['optimizer']) == str(broken['optimizer'])


@HOOKS.register_module()
class ObjectHook(Hook):
    """Leaves an object in the message hub, as some hooks do."""

    def before_train(self, runner):
        runner.message_hub.update_info('object', subprocess.Popen)
        runner.message_hub.update_info('number', np.float32(1.5))


def test_what_torch_would_refuse_is_left_out_and_named(tmp_path):
    small_run(tmp_path, epochs=1, hooks=[dict(type='ObjectHook')]).train()
    info = load(tmp_path / 'epoch_1.pth')['message_hub']['runtime_info']
    assert 'object' not in info and info['number'] == 1.5
    log = next(tmp_path.glob('*/*.log')).read_text()
    assert 'message_hub.runtime_info.object' in log


def test_plain_values():
    left_out = []
    value = dict(path=Path('a'), number=np.int8(3), flag=np.bool_(True), pair=(1, np.float64(.5)),
                 words=np.array(['a', 'b']), table=np.eye(2, dtype=np.float32), bad=[1, open],
                 deep=dict(worse=print, good={np.int64(2)}))
    plain = to_plain(value, 'x', left_out)
    assert left_out == ['x.bad', 'x.deep.worse']
    assert torch.equal(plain.pop('table'), torch.eye(2))
    assert plain == dict(path='a', number=3, flag=True, pair=(1, .5), words=['a', 'b'],
                         deep=dict(good={2}))
    assert [type(item) for item in (plain['number'], plain['flag'], plain['pair'][1])] == [
        int, bool, float]


def test_histories_return_as_they_were():
    """Losses are float32 numbers, and stay what they are."""
    losses = torch.rand(5, generator=torch.Generator().manual_seed(0)).tolist()
    history = to_histories(to_plain(dict(loss=HistoryBuffer(losses, [2] * 5, 9)), 'x', []))['loss']
    assert history.data[0].tolist() == losses and history.data[1].tolist() == [2] * 5
    assert history.max_length == 9 and history.mean() == pytest.approx(sum(losses) / 10)


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    runner = small_run(tmp_path, epochs=2, hooks=[dict(type='SpoilHook')])
    with pytest.raises(FloatingPointError, match='1 of 2 tensors.*layer.bias.*nothing was saved'):
        runner.train()
    assert names(tmp_path) == ['epoch_1.pth', 'last_checkpoint']


@HOOKS.register_module()
class SpoilHook(Hook):
    """Weights become infinite within the last step before a checkpoint."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == 3:
            runner.model.layer.bias.data.fill_(float('inf'))


@pytest.mark.parametrize('copied', [False, True])
def test_another_folder_is_left_alone(tmp_path, copied):
    """Resuming A's checkpoint in B, or in a copy of A, must not delete A's best."""
    EpochScore.scores = [.1, .2]
    best = dict(validate=True, save_best='score', rule='greater')
    small_run(tmp_path / 'a', epochs=2, **best).train()
    before = names(tmp_path / 'a')
    (tmp_path / 'b').mkdir()
    if copied:
        for path in (tmp_path / 'a').glob('*.pth'):
            (tmp_path / 'b' / path.name).write_bytes(path.read_bytes())
    else:
        # B's own, of an earlier training: of no concern to A's checkpoint.
        (tmp_path / 'b/best_score_epoch_2.pth').write_text('of B')
        (tmp_path / 'b/epoch_1.pth').write_text('of B')
    EpochScore.scores = [.9, .95]
    small_run(tmp_path / 'b', epochs=4, resume=True,
              load_from=None if copied else str(tmp_path / 'a/epoch_2.pth'), **best).train()
    assert names(tmp_path / 'a') == before
    others = [] if copied else ['best_score_epoch_2.pth', 'epoch_1.pth']
    assert names(tmp_path / 'b') == sorted(others + [
        'best_score_epoch_4.pth', 'epoch_3.pth', 'epoch_4.pth', 'last_checkpoint'])


def test_a_crafted_file_deletes_nothing(tmp_path):
    run, treasure = tmp_path / 'run', tmp_path / 'treasure.pth'
    interrupted(run, epoch=1)
    treasure.write_text('gold')
    (run / 'treasure.pth').write_text('gold')
    content = load(run / 'epoch_1.pth')
    content['message_hub']['runtime_info'].update(
        best_ckpt=str(treasure), best_score=-1., keep_ckpt_ids=['../treasure', 'treasure', 1, 2, 3])
    torch.save(content, run / 'epoch_1.pth')
    EpochScore.scores = [.5]
    small_run(run, epochs=2, resume=True, validate=True, save_best='score', rule='greater',
              filename_tmpl='{}.pth').train()
    assert treasure.read_text() == (run / 'treasure.pth').read_text() == 'gold'


def test_a_best_of_the_same_name_is_replaced_and_not_deleted(tmp_path):
    """The branch that was given up had its best where the new one has it."""
    best = dict(validate=True, save_best='score', rule='greater')
    EpochScore.scores = [.1, .2]
    small_run(tmp_path, epochs=2, **best).train()
    content = load(tmp_path / 'epoch_1.pth')
    content['message_hub']['runtime_info']['best_ckpt'] = 'best_score_epoch_2.pth'
    torch.save(content, tmp_path / 'epoch_1.pth')
    EpochScore.scores = [.6]
    small_run(tmp_path, epochs=2, resume=True, load_from=str(tmp_path / 'epoch_1.pth'),
              **best).train()
    saved = load(tmp_path / 'best_score_epoch_2.pth')['message_hub']['runtime_info']
    assert saved['best_score'] == .6


def test_a_best_that_a_killed_run_could_not_record_counts(tmp_path):
    """Killed after the best was written and before the last checkpoint named it."""
    EpochScore.scores = [.1, .7]
    best = dict(validate=True, save_best='score', rule='greater')
    small_run(tmp_path, epochs=2, **best).train()
    content = load(tmp_path / 'epoch_2.pth')
    content['message_hub']['runtime_info'].update(best_score=.1, best_ckpt='best_score_epoch_1.pth')
    torch.save(content, tmp_path / 'epoch_2.pth')
    EpochScore.scores = [.4]
    small_run(tmp_path, epochs=3, resume=True, **best).train()
    assert 'best_score_epoch_2.pth' in names(tmp_path)
    assert 'best_score_epoch_3.pth' not in names(tmp_path)


def test_published_files_are_complete_and_named_by_their_hash(tmp_path):
    import hashlib
    small_run(tmp_path, epochs=1, published_keys=['meta', 'state_dict']).train()
    path, = tmp_path.glob('epoch_1-*.pth')
    assert hashlib.sha256(path.read_bytes()).hexdigest()[:8] == path.stem[-8:]
    assert load(path).keys() == {'meta', 'state_dict'}


def test_another_out_dir(tmp_path):
    small_run(tmp_path / 'run', epochs=1, out_dir=str(tmp_path / 'disk')).train()
    assert names(tmp_path / 'disk/run') == ['epoch_1.pth']
    runner = small_run(tmp_path / 'run', epochs=2, out_dir=str(tmp_path / 'disk'), resume=True)
    runner.train()
    assert runner._load_from == str(tmp_path / 'disk/run/epoch_1.pth')


def test_mmengine_itself_reads_the_file(tmp_path):
    """Whoever puts MMEngine's hook back goes on, without the history of the log."""
    interrupted(tmp_path, epoch=2)
    runner = small_run(tmp_path, resume=True, type='CheckpointHook')
    runner.train()
    assert runner.iter == 6 and runner.param_schedulers[0]._global_step == 6


def test_files_of_mmengine_resume(tmp_path):
    """HistoryBuffers, numpy values and an empty array: a data set without a skeleton."""
    schedule = dict(type='LinearLR', end=9, by_epoch=False)
    interrupted(tmp_path, epoch=2, type='CheckpointHook', finite=None, schedule=schedule)
    with pytest.raises(pickle.UnpicklingError):
        load(tmp_path / 'epoch_2.pth')
    small_run(tmp_path, resume=True, schedule=schedule).train()
    assert len(MessageHub.get_current_instance().get_scalar('train/loss').data[0]) == 6
    load(tmp_path / 'epoch_3.pth')


def test_resuming_where_nothing_is_starts_from_what_the_config_names(tmp_path):
    """tools/train.py takes load_from out for --resume, which the first start of a job may have."""
    small_run(tmp_path / 'source', epochs=1).train()
    source = tmp_path / 'source/epoch_1.pth'
    file = tmp_path / 'config.py'
    file.write_text(f'load_from = {str(source)!r}\n')

    def start(**keywords):
        runner = small_run(tmp_path / 'run', resume=True, **keywords)
        object.__setattr__(runner.cfg, '_filename', str(file))
        return runner

    runner = start(hooks=[dict(type='StopHook', epoch=0)])
    with pytest.raises(KeyboardInterrupt):
        runner.train()
    assert runner.epoch == 0 and runner._load_from == str(source)
    for name, value in load(source)['state_dict'].items():
        assert torch.equal(runner.model.state_dict()[name], value)
    start(epochs=1).train()
    runner = start(epochs=2)
    runner.train()  # once there is a checkpoint, it goes on from that
    assert runner._load_from == str(tmp_path / 'run/epoch_1.pth')
