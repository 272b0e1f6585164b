"""`refinepose train`: check a config, then hand it over to MMEngine's runner."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmengine.config import Config

# MMEngine chooses the device when it is imported. So it, and all that imports it, is imported in
# the functions below, after `run` has said which devices there are.


def read_config(path: str, options: list[str] = [], work_dir: str | None = None,
                resume: str | None = None, amp: bool = False,
                auto_scale_lr: bool = False) -> Config:
    """A config with everything that MMPose's tools/train.py merges into it, in the same order.

    Args:
        path: The config.
        options: Words such as ``model.head.out_channels=17``, which have the last say.
        work_dir: For checkpoints and logs; default: the config's, or work_dirs/NAME.
        resume: 'auto' for the last checkpoint of the work directory, or a checkpoint.
        amp: Mixed precision.
        auto_scale_lr: Scale the learning rate to the total batch.

    Raises:
        FileNotFoundError: If config or checkpoint do not exist.
        ValueError: If the config cannot be trained, or an argument does not fit it.
    """
    from .deploy.config import TRAIN_DATA, load_config
    config = load_config(path, TRAIN_DATA, 'optim_wrapper', 'train_cfg')
    config.work_dir = work_dir or config.get('work_dir') or f'./work_dirs/{Path(path).stem}'
    if amp:
        wrapper = config.optim_wrapper.get('type', 'OptimWrapper')
        if wrapper not in ('OptimWrapper', 'AmpOptimWrapper'):
            raise ValueError(f'--amp is for OptimWrapper, but {path} has {wrapper}')
        config.optim_wrapper.type = 'AmpOptimWrapper'
        config.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if resume:
        if resume != 'auto' and '://' not in resume and not Path(resume).is_file():
            raise FileNotFoundError(f'checkpoint {resume} to resume from not found')
        config.resume = True
        config.load_from = None if resume == 'auto' else resume
    if auto_scale_lr:
        if not config.get('auto_scale_lr'):
            raise ValueError(f'--auto-scale-lr needs auto_scale_lr.base_batch_size, which {path} '
                             'does not have')
        config.auto_scale_lr.enable = True
    try:
        config.merge_from_dict(_parsed(options))
    except (AssertionError, KeyError, TypeError) as error:  # of MMEngine, for an index or a key
        raise ValueError(f'--cfg-options do not fit {path}: {_first_line(error)}') from error
    if 'preprocess_cfg' in config:
        config.model.setdefault('data_preprocessor', config.preprocess_cfg)
    return config


def _parsed(options: list[str]) -> dict[str, Any]:
    """The words of --cfg-options as MMEngine understands them."""
    from mmengine.config import DictAction
    for word in options:
        if not word.partition('=')[0] or '=' not in word:
            raise ValueError(f'--cfg-options expects name=value, got {word!r}')
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={})
    return parser.parse_args(['--cfg-options', *options] if options else []).cfg_options


def check(config: Config) -> None:
    """Look for what a run would trip over, before anything is built.

    Raises:
        ValueError: With everything that was found.
    """
    from .engine.preflight import in_one_line, problems_of
    modes = ['train', 'val'] if config.get('val_cfg') else ['train']
    problems = problems_of(config, modes)
    if problems:
        raise ValueError(in_one_line(problems))


def train(config: Config) -> None:
    """Train in this process, alone or as one of those that torchrun started.

    An error that nobody foresaw shows its traceback: nobody trains for days again to see it.

    Raises:
        ValueError: If the config cannot be built; names the part.
        Exception: Whatever ends the training.
    """
    from mmengine.runner import Runner
    try:
        runner = Runner.from_cfg(config)
    except (AssertionError, AttributeError, KeyError, TypeError) as error:
        # What registries and constructors raise for wrong names and arguments.
        raise ValueError(f'{config.filename} cannot be built: {_first_line(error)}') from error
    try:
        runner.train()
    except (OSError, ValueError, FloatingPointError):  # their messages are written for people
        raise
    except Exception:
        traceback.print_exc()
        raise


def _first_line(error: Exception) -> str:
    message = str(error.args[0]) if error.args else type(error).__name__
    return message.strip().splitlines()[0]


def launch(processes: int, words: list[str]) -> None:
    """Train in several processes of this machine, with torchrun.

    Args:
        processes: Their number, one for each GPU.
        words: Of `refinepose train` in each of them.

    Raises:
        ChildProcessError: If one fails; the message is the cause of the first.
        RuntimeError: In a process that torchrun has started: each would start others, without end.
        SystemExit: If a signal ends them.
    """
    if 'RANK' in os.environ:
        raise RuntimeError('torchrun has started this process already; it starts no others')
    from torch.distributed import run as torchrun
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    try:
        torchrun.main(['--standalone', '--nproc-per-node', str(processes), '-m', __package__,
                       'train', *words])
    except SignalException as signalled:
        sys.exit(128 + signalled.sigval)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        message = failure.message
        cause = message if isinstance(message, str) else message['message']
        raise ChildProcessError(f'process {rank} of {processes}: {cause}') from error


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `refinepose train`."""
    parser.add_argument('config', help='config of the run')
    parser.add_argument('--work-dir', help='folder of checkpoints and logs; default: that of the '
                        'config, or work_dirs/NAME')
    parser.add_argument('--resume', nargs='?', const='auto', metavar='CHECKPOINT',
                        help='go on from the last checkpoint of the work directory, or from this')
    parser.add_argument('--amp', action='store_true', help='mixed precision, on GPUs')
    parser.add_argument('--auto-scale-lr', action='store_true',
                        help='scale the learning rate to the total batch')
    parser.add_argument('--gpus', type=int, metavar='N',
                        help='processes on this machine, one for each GPU; 0: the CPU; default: '
                        'one GPU if there is any. torchrun decides by itself.')
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='NAME=VALUE',
                        help='fields of the config to replace')


def _words(args: argparse.Namespace) -> list[str]:
    """The arguments again, for each process of `launch`."""
    flags = {'--work-dir': args.work_dir, '--resume': args.resume}
    words = [args.config, *(word for flag, value in flags.items() if value
                            for word in (flag, value))]
    words += ['--amp'] * args.amp + ['--auto-scale-lr'] * args.auto_scale_lr
    return words + (['--cfg-options', *args.cfg_options] if args.cfg_options else [])


def run(args: argparse.Namespace) -> int:
    """Check the config, then train.

    Raises:
        FileNotFoundError: If config or checkpoint do not exist.
        ValueError: If the machine does not have the GPUs, or the config cannot be trained.
        ChildProcessError: If one of several processes fails.
    """
    if args.gpus == 0:
        os.environ['CUDA_VISIBLE_DEVICES'] = '-1'
    import torch
    found = torch.cuda.device_count()
    started_by_torchrun = 'RANK' in os.environ and 'WORLD_SIZE' in os.environ
    gpus = min(found, 1) if args.gpus is None else args.gpus
    if not started_by_torchrun and not 0 <= gpus <= found:
        raise ValueError(f'--gpus {gpus}, but this machine has {found}; --gpus 0 trains on the CPU')
    if args.amp and not found:
        raise ValueError('--amp needs a GPU, and none is used here')
    config = read_config(args.config, args.cfg_options, args.work_dir, args.resume, args.amp,
                         args.auto_scale_lr)
    if started_by_torchrun:  # in our configs one process checks for all: PreflightHook
        _train_as_one_of_several(config, on_gpus=found > 0)
        return 0
    check(config)
    if gpus > 1:
        launch(gpus, _words(args))
    else:
        if not found:
            print('No GPU is used: training on the CPU.', flush=True)
        train(config)
    return 0


def _train_as_one_of_several(config: Config, on_gpus: bool) -> None:
    """Train in one of torchrun's processes; it tells torchrun the cause if it fails."""
    import torch.distributed as dist
    from torch.distributed.elastic.multiprocessing.errors import record
    config.launcher = 'pytorch'
    os.environ.setdefault('LOCAL_RANK', '0')  # clusters with one process per machine leave it out
    if not on_gpus:
        # MMEngine's launcher asks for GPUs, unless the processes know each other already.
        config.merge_from_dict({'env_cfg.dist_cfg.backend': 'gloo'})
        config.setdefault('model_wrapper_cfg', {})
        config.model_wrapper_cfg.setdefault('type', 'MMDistributedDataParallel')
        config.model_wrapper_cfg.setdefault('device_ids', None)
        dist.init_process_group('gloo')
    try:
        record(train)(config)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
