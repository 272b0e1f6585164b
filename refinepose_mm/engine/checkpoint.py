"""Checkpoints that survive a killed run, a full disk and a strange file.

MMEngine's hook deletes the old checkpoint, then writes the new one in place. Here a checkpoint is
written under a temporary name, synchronised and renamed; then ``last_checkpoint``; only then are
older ones deleted.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
from collections import deque
from pathlib import Path, PureWindowsPath
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import broadcast_object_list, is_main_process, master_only
from mmengine.fileio import LocalBackend, get_file_backend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ..files import replacing
from .plain import non_finite, require_dense, to_histories, to_plain
from .resume import newest_complete, read, require_intact, require_resumable


@register_backend('atomic')
class AtomicBackend(LocalBackend):
    """MMEngine's local files, each complete or absent."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes beside the file, then replace it in one step.

        Raises:
            OSError: If the disk is full or the folder refuses; the old file stays.
        """
        os.makedirs(os.path.dirname(filepath), exist_ok=True)
        try:
            with replacing(filepath) as path:
                path.write_bytes(obj)
        except OSError as error:
            raise OSError(error.errno, 'not written, earlier files are untouched: '
                          f'{error.strerror or error}', str(filepath)) from error


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """MMEngine's CheckpointHook, with its arguments, for runs that may end at any moment.

    - A checkpoint is complete or absent. The older ones, best ones included, are deleted after the
      new one is on disk, and only in this run's own folder.
    - Checkpoints contain plain values: torch reads them without an allow-list. Weights that are
      not finite are refused.
    - ``--resume`` takes the newest complete checkpoint of this run's folder and says which. Where
      there is none, the run starts from the config's ``load_from``, which MMPose's tools/train.py
      would forget.
    - The config in a checkpoint is compared, where MMEngine executes it.

    Storage that is not local is left to MMEngine.
    """

    # Set by MMEngine.
    keep_ckpt_ids: deque[int]
    best_ckpt_path: str | None
    best_ckpt_path_dict: dict[Any, str | None]

    def before_run(self, runner: Runner) -> None:
        """Choose what to resume from; check the file if the user named one.

        Raises:
            FileNotFoundError: If this run's folder has checkpoints and none is complete.
            ValueError: If the user's file is damaged or holds weights alone.
        """
        if not runner._resume or not self._is_local(runner):
            return
        if runner._load_from is not None:
            if os.path.isfile(runner._load_from):
                require_intact(Path(runner._load_from))
            return
        answer: list[Any] = [None, None]  # the same in every process, also without a shared disk
        if is_main_process():
            try:
                answer[0] = newest_complete(
                    self._folder(runner), {self.filename_tmpl, 'epoch_{}.pth', 'iter_{}.pth'})
            except FileNotFoundError as error:
                answer[1] = str(error)
        broadcast_object_list(answer)
        found, problem = answer
        if problem:
            raise FileNotFoundError(problem)
        if found is None:
            runner._resume, runner._load_from = False, _load_from(runner.cfg)
            start = f', from {runner._load_from}' if runner._load_from else ''
            runner.logger.info(
                f'No checkpoint in {self._folder(runner)}: the run starts anew{start}.')
            return
        for reason in found.skipped:
            runner.logger.warning(f'Checkpoint skipped: {reason}')
        runner.logger.info(f'Resuming from {found.path} (epoch {found.epoch}, iteration '
                           f'{found.iteration}), the newest complete checkpoint of its folder.')
        runner._load_from = str(found.path)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Make MMEngine's own objects of plain values; take out what it would execute.

        Raises:
            ValueError: If the run is to resume from a file that holds weights alone.
        """
        require_dense(checkpoint, str(runner._load_from))
        if runner._resume:
            require_resumable(checkpoint, str(runner._load_from))
        meta, hub = checkpoint.get('meta') or {}, checkpoint.get('message_hub') or {}
        executed = meta.pop('config', None)  # by Runner.resume
        if 'log_scalars' in hub:
            hub['log_scalars'] = to_histories(hub['log_scalars'])
        if runner._resume:
            self._compare(runner, str(executed or meta.get('cfg')))
            metainfo = getattr(runner.train_dataloader.dataset, 'metainfo', None)
            if _as_text(metainfo) == _as_text(meta.get('dataset_meta')):
                meta['dataset_meta'] = metainfo  # MMEngine compares their pickles

    def before_train(self, runner: Runner) -> None:
        """Take over the folder: own files only, none of them half."""
        if self._is_local(runner):
            self._own_files_only(runner, Path(self._folder(runner)))
            self.backend_args = dict(backend='atomic')
        super().before_train(runner)
        if self.backend_args == dict(backend='atomic') and is_main_process():
            for folder in (self.out_dir, runner.work_dir):
                remove_leftovers(folder)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse weights that are not finite, and make the rest plain.

        Raises:
            FloatingPointError: If a tensor contains NaN or infinity.
        """
        for key in checkpoint:
            broken = non_finite(checkpoint[key]) if key.endswith('state_dict') else []
            if broken:
                raise FloatingPointError(
                    f'{len(broken)} of {len(checkpoint[key])} tensors are not finite at iteration '
                    f'{runner.iter}, first {broken[0]}; nothing was saved, earlier checkpoints are '
                    'untouched')
        left_out: list[str] = []
        for key in ('meta', 'message_hub', 'optimizer', 'param_schedulers'):
            if key in checkpoint:
                checkpoint[key] = to_plain(checkpoint[key], key, left_out)
        if left_out:
            runner.logger.warning('Left out of the checkpoint, as torch would refuse to read them: '
                                  f'{", ".join(left_out)}')

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        """Write the checkpoint, then ``last_checkpoint``, then delete what is too old."""
        doomed = []
        if self.max_keep_ckpts > 0:
            steps = [other for other in self.keep_ckpt_ids if other != step] + [step]
            doomed = steps[:-self.max_keep_ckpts]
            self.keep_ckpt_ids = deque(steps, self.max_keep_ckpts)
            # The doomed ones are recorded: a run killed now deletes them when it resumes.
            runner.message_hub.update_info('keep_ckpt_ids', steps)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir, name, self.file_client_args, save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler, meta=meta, by_epoch=self.by_epoch,
            backend_args=self.backend_args, **self.args)
        if is_main_process():
            last = os.path.join(runner.work_dir, 'last_checkpoint')
            AtomicBackend().put(self.last_ckpt.encode(), last)
            for other in doomed:
                self._delete(self.file_backend.join_path(
                    self.out_dir, self.filename_tmpl.format(other)))

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        """Let MMEngine save a better checkpoint, and delete the one before it afterwards."""
        if not self.save_best:
            return
        single = hasattr(self, 'best_ckpt_path')
        before: dict[Any, str | None] = (
            {None: self.best_ckpt_path} if single else dict(self.best_ckpt_path_dict))
        # What MMEngine does not know of it does not delete.
        if single:
            self.best_ckpt_path = None
        else:
            self.best_ckpt_path_dict = dict.fromkeys(before)
        super()._save_best_checkpoint(runner, metrics)
        after: dict[Any, str | None] = (
            {None: self.best_ckpt_path} if single else self.best_ckpt_path_dict)
        for key, path in before.items():
            if after[key] is None:
                after[key] = path
            elif path and path not in after.values() and is_main_process():
                self._delete(path)
        if single:
            self.best_ckpt_path = after[None]

    @master_only
    def _publish_model(self, runner: Runner, ckpt_path: str) -> None:
        """Save the published keys beside a checkpoint, with the file's sha256 in its name."""
        checkpoint = torch.load(ckpt_path, map_location='cpu', weights_only=True)
        content = io.BytesIO()
        torch.save({key: checkpoint[key] for key in checkpoint if key in self.published_keys},
                   content)
        digest = hashlib.sha256(content.getvalue()).hexdigest()
        path = f'{os.path.splitext(ckpt_path)[0]}-{digest[:8]}.pth'
        AtomicBackend().put(content.getvalue(), path)
        runner.logger.info(f'{", ".join(self.published_keys)} of {ckpt_path} are in {path}.')

    def _folder(self, runner: Runner) -> str:
        """Where this run's checkpoints are; ``before_train`` of MMEngine decides the same."""
        if self.out_dir is None or self.out_dir == runner.work_dir:
            return runner.work_dir
        return os.path.join(self.out_dir, os.path.basename(runner.work_dir.rstrip(os.sep)))

    def _is_local(self, runner: Runner) -> bool:
        return self.file_client_args is None and isinstance(
            get_file_backend(self.out_dir or runner.work_dir, backend_args=self.backend_args),
            LocalBackend)

    def _delete(self, path: str) -> None:
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)

    def _own_files_only(self, runner: Runner, folder: Path) -> None:
        """Forget the recorded files of another folder; find the recorded ones in a copied folder.

        Whoever resumes another run's checkpoint here must not lose a file, there or here.
        """
        hub = runner.message_hub
        resumed = Path(runner._load_from) if runner._resume and runner._load_from else None
        own = resumed is not None and resumed.resolve().parent == folder.resolve()
        for key, value in list(hub.runtime_info.items()):
            if key == 'best_ckpt' or key.startswith('best_ckpt_'):
                path = folder / PureWindowsPath(str(value)).name
                known = own and path.name.startswith('best_') and path.is_file()
                hub.update_info(key, str(path) if known else None)
            elif key.startswith('best_score') and not isinstance(value, (int, float)):
                hub.update_info(key, None)
        if 'keep_ckpt_ids' in hub.runtime_info:
            steps = hub.get_info('keep_ckpt_ids') if own else []
            hub.update_info('keep_ckpt_ids', [step for step in steps if type(step) is int])
        if own and self.save_best and self.key_indicators != ['auto']:
            self._take_over_best(runner, folder)

    def _take_over_best(self, runner: Runner, folder: Path) -> None:
        """Find a best checkpoint that a killed run wrote and could not record any more."""
        hub = runner.message_hub
        for key in self.key_indicators:
            end = '' if len(self.key_indicators) == 1 else f'_{key}'
            for path in folder.glob(f'best_{key.replace("/", "_")}_*.pth'):
                try:
                    checkpoint = read(path)
                except ValueError:
                    continue
                info = checkpoint['message_hub'].get('runtime_info', {})
                name = PureWindowsPath(str(info.get(f'best_ckpt{end}'))).name
                score, recorded = info.get(f'best_score{end}'), hub.get_info(f'best_score{end}')
                if (name == path.name and isinstance(score, (int, float))
                        and checkpoint['meta']['epoch'] <= runner.epoch
                        and (recorded is None or self.is_better_than[key](score, recorded))):
                    hub.update_info(f'best_score{end}', score)
                    hub.update_info(f'best_ckpt{end}', str(path))

    @staticmethod
    def _compare(runner: Runner, text: str) -> None:
        """Say which lines of the config are not the checkpoint's; where it lies does not count."""
        old, new = ([line for line in content.splitlines()
                     if not re.match(r'(load_from|resume|work_dir) = ', line)]
                    for content in (text, runner.cfg.pretty_text))
        in_old, in_new = set(old), set(new)
        changed = [f'- {line}' for line in old if line not in in_new]
        changed += [f'+ {line}' for line in new if line not in in_old]
        if changed:
            shown = '\n'.join(line[:120] for line in changed[:20])
            shown = ''.join(char if char.isprintable() or char == '\n' else '?' for char in shown)
            runner.logger.warning('The config differs from the one in the checkpoint (-) in '
                                  f'{len(changed)} lines, such as\n{shown}\n'
                                  'MMEngine goes on with the learning-rate schedule that is in the '
                                  'checkpoint, whatever the config says now.')


def remove_leftovers(folder: str | Path) -> None:
    """Delete the temporary folders in which a killed run was writing: see ``files.replacing``."""
    for path in Path(folder).glob('.*'):
        name = re.fullmatch(r'\.(last_checkpoint|.+\.pth)\.[a-z0-9_]{8}', path.name)
        if name and path.is_dir() and {item.name for item in path.iterdir()} <= {name[1]}:
            shutil.rmtree(path)


def _load_from(config: Config) -> str | None:
    """What a config's file starts from; tools/train.py takes it out for ``--resume``."""
    file = config.filename  # of a config from a string, it is gone
    return Config.fromfile(file).get('load_from') if file and os.path.isfile(file) else None


def _as_text(metainfo: object) -> str:
    """Meta information as one text, whether its arrays are numpy's or torch's."""
    return json.dumps(metainfo, default=lambda value: getattr(value, 'tolist', value.__repr__)())
