"""MMPose's own scripts and mim, unchanged, with the repairs; and training without mim."""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest
import torch
from conftest import ROOT

from refinepose_mm import hook
from refinepose_mm.cli import main
from refinepose_mm.datasets import toy_people
from refinepose_mm.plugin import REPAIRED
from refinepose_mm.startup import _refinepose_mm_hook as startup_hook
from refinepose_mm.train import read_config

MIM = Path(importlib.util.find_spec('mmpose').submodule_search_locations[0], '.mim')
CONFIG = ROOT / 'configs/refinepose_tiny_toy.py'
SHORT = ['train_cfg.max_epochs=1', 'train_cfg.val_interval=9', 'train_dataloader.batch_size=4',
         'default_hooks.checkpoint.save_best=None']


def python(*words, **keywords):
    keywords.setdefault('env', dict(os.environ))
    return subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True,
                          **keywords)


def refinepose(*words, **keywords):
    return python('-m', 'refinepose_mm', *words, **keywords)


@pytest.fixture(scope='module')
def toy(tmp_path_factory):
    folder = tmp_path_factory.mktemp('toy')
    toy_people.generate(folder, num_train=8, num_val=4)
    return folder


@pytest.fixture(scope='module')
def environment(toy):
    """Of every tool; with the project in reach from any folder, also where it is not installed."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))
    return dict(os.environ, TOY_ROOT=str(toy), PYTHONPATH=path, MPLBACKEND='agg')


@pytest.fixture(scope='module')
def work_dir(environment, tmp_path_factory):
    """Of a short run of `refinepose train`."""
    folder = tmp_path_factory.mktemp('work_dir')
    result = refinepose('train', CONFIG, '--gpus', 0, '--work-dir', folder, '--cfg-options',
                        *SHORT, env=environment, cwd=folder)
    assert result.returncode == 0, result.stderr[-3000:]
    assert 'No GPU is used: training on the CPU.' in result.stdout
    return folder


@pytest.fixture
def run(environment, tmp_path):
    """`refinepose run`, in an empty folder."""

    def run_and_check(*words):
        result = refinepose('run', *words, env=environment, cwd=tmp_path)
        assert result.returncode == 0, result.stderr[-3000:]
        return result.stdout

    return run_and_check


# What `refinepose run` does.

def test_a_script_sees_what_python_would_show_it(tmp_path, environment):
    (tmp_path / 'scripts').mkdir()
    (tmp_path / 'scripts/neighbour.py').write_text('NAME = "neighbour"')
    (tmp_path / 'scripts/show.py').write_text(
        'import sys, neighbour\n'
        'print([__name__, __file__, sys.argv, sys.path[0], neighbour.NAME])\n'
        'sys.exit(7)')
    words = ['scripts/show.py', '--help', '-m', 'x', '--', '--output=y', '-1']
    expected = python(*words, env=environment, cwd=tmp_path)
    found = refinepose('run', *words, env=environment, cwd=tmp_path)
    assert 'neighbour' in expected.stdout
    assert (found.returncode, found.stdout) == (7, expected.stdout)


def test_a_module_sees_what_python_would_show_it(tmp_path, environment):
    (tmp_path / 'shown.py').write_text('import sys\nprint([__name__, sys.argv, sys.path[0]])')
    words = ['-m', 'shown', '--help', 'x']
    expected = python(*words, env=environment, cwd=tmp_path)
    found = refinepose('run', *words, env=environment, cwd=tmp_path)
    assert '__main__' in expected.stdout
    assert (found.returncode, found.stdout) == (0, expected.stdout)


def test_an_error_of_the_script_keeps_its_traceback(tmp_path, environment):
    (tmp_path / 'fail.py').write_text('raise KeyError("of the script")')
    result = refinepose('run', 'fail.py', env=environment, cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith('Traceback') and 'refinepose_mm' not in result.stderr
    assert result.stderr.endswith("KeyError: 'of the script'\n")


def test_a_sitecustomize_of_the_user_is_executed_all_the_same(tmp_path, environment):
    (tmp_path / 'sitecustomize.py').write_text('import sys; sys.of_the_user = True')
    (tmp_path / 'show.py').write_text('import sys; print(sys.of_the_user)')
    path = os.pathsep.join([str(tmp_path), environment['PYTHONPATH']])
    result = refinepose('run', 'show.py', env={**environment, 'PYTHONPATH': path}, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, 'True\n'), result.stderr


@pytest.mark.parametrize('words, message', [
    (['nope.py', '--help'], 'refinepose run: script nope.py not found'),
    ([], 'refinepose run: expected a script, or -m and a module'),
])
def test_nothing_to_run_is_one_line(capsys, monkeypatch, words, message):
    # Or a failing test would become another process.
    monkeypatch.setattr(os, 'execve', lambda *words: pytest.fail('started'))
    assert main(['run', *words]) == 2
    assert capsys.readouterr().err.strip() == message


# MMPose's tools. Of those that also run by themselves, in front of a config that imports us:
# print_config, browse_dataset, train.py and test.py.

def test_print_config(run):
    assert "type='ShortcutViT'" in run(MIM / 'tools/analysis_tools/print_config.py', CONFIG)


def test_browse_dataset(run, tmp_path):
    run(MIM / 'tools/misc/browse_dataset.py', CONFIG, '--not-show', '--output-dir', 'out',
        '--max-item-per-dataset', 2, '--phase', 'val')
    assert len(list(tmp_path.glob('out/**/*.jpg'))) == 2


def test_get_flops(run):
    output = run(MIM / 'tools/analysis_tools/get_flops.py', CONFIG, '--input-shape', 256, 192)
    assert 'Flops:' in output


def test_publish_model(run, work_dir, tmp_path):
    run(MIM / 'tools/misc/publish_model.py', work_dir / 'epoch_1.pth', 'published.pth')
    deadline = time.time() + 10
    while not (found := list(tmp_path.glob('published-*.pth'))):  # it does not wait for its `mv`
        assert time.time() < deadline
        time.sleep(.1)
    assert set(torch.load(found[0], weights_only=True)) == {'meta', 'state_dict'}


def test_image_demo(run, toy, work_dir, tmp_path):
    photo = min((toy / 'demo').iterdir())
    run(MIM / 'demo/image_demo.py', photo, CONFIG, work_dir / 'epoch_1.pth', '--out-file',
        'out.jpg', '--device', 'cpu')
    assert (tmp_path / 'out.jpg').is_file()


def test_inferencer_demo(run, toy, work_dir, tmp_path):
    photo = min((toy / 'demo').iterdir())
    run(MIM / 'demo/inferencer_demo.py', photo, '--pose2d', CONFIG, '--pose2d-weights',
        work_dir / 'epoch_1.pth', '--det-model', 'whole_image', '--pred-out-dir', 'out')
    assert (tmp_path / f'out/{photo.stem}.json').is_file()


def test_mim_run(run):
    """mim starts a Python of its own, which finds the repairs, too."""
    output = run('-m', 'mim', 'run', 'mmpose', 'get_flops', CONFIG, '--input-shape', 256, 192)
    assert 'Flops:' in output


@pytest.fixture
def person_detector(tmp_path):
    """Config and random weights of the person detector that MMPose's demos take."""
    from mmdet.registry import MODELS
    from mmdet.utils import register_all_modules
    from mmengine.config import Config
    register_all_modules(init_default_scope=False)
    path = MIM / 'demo/mmdetection_cfg/rtmdet_nano_320-8xb32_coco-person.py'
    config = Config.fromfile(path).model
    weights = {'state_dict': MODELS.build({**config, '_scope_': 'mmdet'}).state_dict()}
    torch.save(weights, tmp_path / 'detector.pth')
    return path, tmp_path / 'detector.pth'


@pytest.mark.slow
def test_topdown_demo_with_mmdet(run, toy, work_dir, person_detector, tmp_path):
    run(MIM / 'demo/topdown_demo_with_mmdet.py', *person_detector, CONFIG,
        work_dir / 'epoch_1.pth', '--input', min((toy / 'demo').iterdir()), '--output-root',
        'out', '--bbox-thr', 0, '--device', 'cpu')
    assert list(tmp_path.glob('out/*'))


@pytest.mark.slow
def test_mim_test_of_a_config_of_mmpose(run, toy, tmp_path):
    from mmengine.config import Config
    from mmpose.registry import MODELS
    path = MIM / ('configs/body_2d_keypoint/topdown_heatmap/coco/'
                  'td-hm_vipnas-mbv3_8xb64-210e_coco-256x192.py')
    config = Config.fromfile(path).model
    torch.save({'state_dict': MODELS.build({**config, '_scope_': 'mmpose'}).state_dict()},
               tmp_path / 'weights.pth')
    annotations = toy / 'annotations/person_keypoints_val.json'
    output = run('-m', 'mim', 'test', 'mmpose', path, '--checkpoint', 'weights.pth', '--gpus', 0,
                 '--cfg-options', f'test_dataloader.dataset.data_root={toy}',
                 f'test_dataloader.dataset.ann_file={annotations}',
                 'test_dataloader.dataset.data_prefix.img=val',
                 'test_dataloader.dataset.bbox_file=None', 'test_dataloader.num_workers=0',
                 'test_dataloader.persistent_workers=False',
                 f'test_evaluator.ann_file={annotations}')
    assert 'coco/AP' in output


@pytest.mark.slow
@pytest.mark.parametrize('name', [
    'tools/train.py', 'tools/test.py', 'tools/misc/generate_bbox_file.py',
    'tools/misc/pth_transfer.py', 'demo/bottomup_demo.py', 'demo/body3d_pose_lifter_demo.py',
    'demo/hand3d_internet_demo.py'])
def test_other_tools_import(run, name):
    assert 'usage:' in run(MIM / name, '--help')


# The hook.

@pytest.fixture(scope='module')
def layer(tmp_path_factory):
    """A throw-away environment over this one: its Python and its site-packages."""
    folder = tmp_path_factory.mktemp('venv')
    result = python(ROOT / 'requirements/layer.py', folder)
    assert result.returncode == 0, result.stderr
    base = {'base': str(folder), 'platbase': str(folder)}
    return folder / 'bin/python', Path(sysconfig.get_path('purelib', vars=base))


def in_layer(layer, environment, *words):
    return subprocess.run([str(layer[0]), *map(str, words)], capture_output=True, text=True,
                          env=environment, cwd=layer[1])


def test_with_the_hook_a_script_of_mmpose_runs_unchanged(layer, environment, tmp_path, toy,
                                                         work_dir):
    command = [MIM / 'demo/image_demo.py', min((toy / 'demo').iterdir()), CONFIG,
               work_dir / 'epoch_1.pth', '--out-file', tmp_path / 'out.jpg', '--device', 'cpu']
    result = in_layer(layer, environment, *command)
    # xtcocotools comes first where it is built for another numpy, or missing.
    assert re.search("No module named '(mmcv._ext|xtcocotools)|numpy.dtype size changed",
                     result.stderr)

    files = [layer[1] / name for name in ('_refinepose_mm_hook.py', '_refinepose_mm_hook.pth')]
    doctor = ['-m', 'refinepose_mm', 'doctor']
    result = in_layer(layer, environment, *doctor, '--install-hook')
    assert (result.returncode, result.stdout.splitlines()) == (0, [f'wrote {f}' for f in files])
    result = in_layer(layer, environment, *doctor, '--install-hook')
    assert (result.returncode, result.stdout) == (
        0, f'nothing to do: the hook is installed in {layer[1]}\n')
    result = in_layer(layer, environment, *command)
    assert result.returncode == 0, result.stderr[-3000:]
    assert (tmp_path / 'out.jpg').is_file()

    result = in_layer(layer, environment, *doctor, '--remove-hook')
    assert (result.returncode, result.stdout.splitlines()) == (
        0, [f'removed {f}' for f in reversed(files)])
    result = in_layer(layer, environment, *doctor, '--remove-hook')
    assert (result.returncode, result.stdout) == (0, f'nothing to do: no hook in {layer[1]}\n')
    assert not any(f.exists() for f in files)


def test_the_hook_costs_a_start_of_python_nothing(layer, environment):
    show = ['-c', 'import sys; print(sorted(sys.modules))']
    before = eval(in_layer(layer, environment, *show).stdout)
    hook.install_hook(layer[1])
    after = eval(in_layer(layer, environment, *show).stdout)
    hook.remove_hook(layer[1])
    assert set(after) - set(before) == {'_refinepose_mm_hook'}


@pytest.mark.parametrize('complete', [False, True])
def test_beside_a_complete_mmcv_the_hook_does_nothing(tmp_path, environment, complete):
    """As found before anything of it is imported."""
    (tmp_path / 'mmcv').mkdir()
    (tmp_path / 'mmcv/__init__.py').touch()
    if complete:
        (tmp_path / 'mmcv/_ext.py').touch()
    (tmp_path / 'refinepose_mm.py').write_text('print("brought in")')
    hook.install_hook(tmp_path)
    result = subprocess.run(
        [sys.executable, '-c', 'import _refinepose_mm_hook, mmcv, sys; print(len(sys.meta_path))'],
        capture_output=True, text=True, cwd=tmp_path, env={**environment, 'PYTHONPATH': ''})
    assert result.returncode == 0, result.stderr
    assert ('brought in' in result.stdout) == (not complete)


def test_the_hook_waits_for_the_packages_that_the_plugin_repairs():
    sys.meta_path[:] = [f for f in sys.meta_path if not isinstance(f, startup_hook.FirstImport)]
    assert startup_hook.PACKAGES == REPAIRED


def test_without_the_package_the_hook_is_silent(tmp_path, environment):
    """As left behind by `pip uninstall refinepose_mm`."""
    hook.install_hook(tmp_path)
    (tmp_path / 'mmcv.py').touch()
    result = subprocess.run([sys.executable, '-S', '-c', 'import _refinepose_mm_hook, mmcv'],
                            capture_output=True, text=True, cwd=tmp_path,
                            env={**environment, 'PYTHONPATH': ''})
    assert (result.returncode, result.stderr) == (0, '')


def test_a_folder_that_is_not_writable_is_refused(tmp_path, monkeypatch, capsys):
    def refuse(dir):
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr('refinepose_mm.files.tempfile.TemporaryFile', refuse)
    monkeypatch.setattr('refinepose_mm.doctor.site_packages', lambda: tmp_path)
    assert main(['doctor', '--install-hook']) == 2
    assert capsys.readouterr().err == (
        f'refinepose doctor: cannot write to {tmp_path} (folder {tmp_path} of output '
        '_refinepose_mm_hook.py is not writable: Permission denied): use a virtual environment, or '
        '`refinepose run SCRIPT.py`, which needs no hook\n')
    assert not list(tmp_path.iterdir())


# `refinepose train`.

def test_train_goes_on_from_the_last_checkpoint(work_dir, environment, tmp_path):
    folder = tmp_path / 'again'
    folder.mkdir()
    shutil.copy(work_dir / 'epoch_1.pth', folder)
    (folder / 'last_checkpoint').write_text(str(folder / 'epoch_1.pth'))
    result = refinepose('train', CONFIG, '--work-dir', folder, '--resume', '--gpus', 0,
                        '--cfg-options', *SHORT[1:], 'train_cfg.max_epochs=2', env=environment)
    assert result.returncode == 0, result.stderr[-3000:]
    assert 'Epoch(train) [2]' in result.stdout + result.stderr
    assert 'Epoch(train) [1]' not in result.stdout + result.stderr


@pytest.mark.parametrize('words, message', [
    (['nope.py'], 'nope.py not found'),
    ([CONFIG, '--gpus', 99], '--gpus 99, but this machine has '),
    ([CONFIG, '--amp', '--gpus', 0], '--amp needs a GPU, and none is used here'),
    ([CONFIG, '--resume', 'nope.pth'], 'checkpoint nope.pth to resume from not found'),
    ([CONFIG, '--cfg-options', 'x'], "--cfg-options expects name=value, got 'x'"),
    ([CONFIG, '--cfg-options', 'custom_hooks.99.x=1'], f'--cfg-options do not fit {CONFIG}: '),
    ([CONFIG, '--cfg-options', 'modl.x=1'], 'modl is read by nobody; model?'),
    ([CONFIG, '--cfg-options', 'modl.x=1', 'load_from=nope.pth'], '2 problems: (1) modl is '
     'read by nobody; model?; (2) load_from: checkpoint nope.pth not found'),
    ([CONFIG, '--cfg-options', 'model.head.type=Nope'],
     f'{CONFIG} cannot be built: Nope is not in the mmpose::model registry'),
    ([CONFIG, '--cfg-options', 'model.head.x=1'], f'{CONFIG} cannot be built: FusionHead.__init__'
     "() got an unexpected keyword argument 'x'"),
])
def test_train_says_in_one_line_what_it_cannot_do(toy, tmp_path, monkeypatch, capsys, words,
                                                  message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('TOY_ROOT', str(toy))
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '-1')
    # Loggers of earlier tests write to streams that pytest has closed.
    monkeypatch.setattr('logging.raiseExceptions', False)
    # A check that is missing must not start 99 processes, or a training without end.
    monkeypatch.setattr('refinepose_mm.train.launch', lambda *words: pytest.fail('started'))
    monkeypatch.setattr('mmengine.runner.Runner.train', lambda self: pytest.fail('trained'))
    assert main(['train', *map(str, words)]) == 2
    error = capsys.readouterr().err
    assert error.splitlines()[-1].startswith(f'refinepose train: {message}')
    assert 'Traceback' not in error


def test_an_error_inside_the_training_shows_its_traceback_and_ends_with_the_cause(
        toy, environment, tmp_path):
    (tmp_path / 'broken.py').write_text(
        f'_base_ = {str(CONFIG)!r}\n'
        "custom_imports = dict(imports=['refinepose_mm', 'broken_hook'])\n"
        "custom_hooks = [dict(type='BrokenHook')]\n")
    (tmp_path / 'broken_hook.py').write_text(
        'from mmengine.hooks import Hook\nfrom mmengine.registry import HOOKS\n'
        '@HOOKS.register_module()\nclass BrokenHook(Hook):\n'
        '    def before_train_iter(self, runner, batch_idx, data_batch):\n'
        '        raise RuntimeError("the shapes differ")\n')
    path = os.pathsep.join([str(tmp_path), environment['PYTHONPATH']])
    result = refinepose('train', 'broken.py', '--gpus', 0, env={**environment, 'PYTHONPATH': path},
                        cwd=tmp_path)
    assert result.returncode == 2
    assert 'in before_train_iter' in result.stderr
    assert result.stderr.splitlines()[-1].startswith(
        'refinepose train: RuntimeError: the shapes differ')


def test_train_merges_what_the_tool_of_mmpose_merges(toy, monkeypatch):
    monkeypatch.setenv('TOY_ROOT', str(toy))
    config = read_config(str(CONFIG))
    assert config.work_dir == './work_dirs/refinepose_tiny_toy' and not config.resume
    assert 'type' not in config.optim_wrapper or config.optim_wrapper.type == 'OptimWrapper'
    config = read_config(str(CONFIG), ['work_dir=last', 'train_dataloader.batch_size=3'],
                         work_dir='first', resume='auto', amp=True)
    assert (config.work_dir, config.resume, config.load_from) == ('last', True, None)
    assert config.train_dataloader.batch_size == 3
    assert (config.optim_wrapper.type, config.optim_wrapper.loss_scale) == (
        'AmpOptimWrapper', 'dynamic')


@pytest.fixture
def two_devices(toy, environment, monkeypatch, tmp_path):
    """A machine that seems to have two GPUs; its processes, on the CPU, know better."""
    script = tmp_path / 'two_devices.py'
    script.write_text('import sys, torch\n'
                      'torch.cuda.device_count = lambda: 2\n'
                      'from refinepose_mm.cli import main\n'
                      'sys.exit(main(sys.argv[1:]))\n')
    return script


@pytest.mark.slow
def test_several_processes_train_together(two_devices, environment, tmp_path):
    result = python(two_devices, 'train', CONFIG, '--gpus', 2, '--work-dir', tmp_path / 'out',
                    '--cfg-options', *SHORT, env=environment)
    assert result.returncode == 0, result.stderr[-3000:]
    assert "launcher = 'pytorch'" in next((tmp_path / 'out').glob('*/vis_data/config.py')
                                          ).read_text()
    assert 'GPU number: 2' in result.stdout + result.stderr
    assert (tmp_path / 'out/epoch_1.pth').is_file()


@pytest.mark.slow
def test_the_cause_in_one_of_several_processes_is_the_last_line(two_devices, environment,
                                                                tmp_path):
    result = python(two_devices, 'train', CONFIG, '--gpus', 2, '--work-dir', tmp_path / 'out',
                    '--cfg-options', 'model.head.x=1', env=environment)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].endswith(
        f"of 2: ValueError: {CONFIG} cannot be built: FusionHead.__init__() got an unexpected "
        "keyword argument 'x'")


@pytest.mark.slow
def test_ending_the_launcher_ends_the_processes(two_devices, environment, tmp_path):
    process = subprocess.Popen(
        [sys.executable, two_devices, 'train', CONFIG, '--gpus', '2', '--work-dir',
         tmp_path / 'out', '--cfg-options', 'train_cfg.max_epochs=9999'], env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not list((tmp_path / 'out').glob('*/*.log')):
        assert process.poll() is None, process.stderr.read()[-3000:]
        time.sleep(.1)
    process.terminate()
    assert process.wait(60) == 128 + signal.SIGTERM
