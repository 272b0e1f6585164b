"""Imports go down only, and importing the package alone is cheap."""

import ast
import subprocess
import sys

import pytest
from conftest import ROOT

PACKAGE = ROOT / 'refinepose_mm'
# From the ground up; a room may import from those before it, and within itself without circles.
LAYERS = ['version', 'bundled', 'files', 'pillow', 'pickles', 'coco', 'compat', 'ops', 'engine',
          'models', 'codecs', 'datasets', 'downloads', 'hub', 'checkpoints', 'recipes', 'weights',
          'complexity', 'startup', 'hook', 'doctor', 'run', 'deploy', 'transplant', 'own_data',
          'report', 'demo', 'train', 'benchmark', 'apis', 'plugin', 'cli', '__main__', '__init__']


def module_name(path):
    parts = path.relative_to(PACKAGE).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' and len(parts) > 1 else parts)


MODULES = {module_name(path): path for path in PACKAGE.rglob('*.py')}


def imports(name):
    """Our modules that a module imports, wherever the statement stands."""
    package = name.split('.') if MODULES[name].name == '__init__.py' else name.split('.')[:-1]
    package = [] if name == '__init__' else package
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[:len(package) - node.level + 1]
            base += node.module.split('.') if node.module else []
            for alias in node.names:
                full = '.'.join([*base, alias.name])
                yield full if full in MODULES else '.'.join(base)
        elif isinstance(node, ast.ImportFrom) and (node.module or '').startswith('refinepose_mm.'):
            yield node.module.split('.', 1)[1]


def room(name):
    return name.split('.')[0]


@pytest.mark.parametrize('name', sorted(MODULES))
def test_imports_go_down(name):
    assert room(name) in LAYERS
    for imported in imports(name):
        assert imported in MODULES, imported
        if room(imported) != room(name):
            assert LAYERS.index(room(imported)) < LAYERS.index(room(name)), (
                f'{name} imports {imported}, which stands above it')


def test_there_are_no_circles():
    done, path = set(), []

    def visit(name):
        assert name not in path, f'circle: {" -> ".join([*path, name])}'
        if name in done:
            return
        path.append(name)
        for imported in set(imports(name)) - {name}:
            visit(imported)
        done.add(path.pop())

    for name in MODULES:
        visit(name)


def test_operations_know_nothing_of_ours_and_models_only_operations():
    for name in MODULES:
        rooms = {room(imported) for imported in imports(name)} - {room(name)}
        if room(name) == 'ops':
            assert not rooms
        if room(name) == 'models':
            assert rooms <= {'ops'}


@pytest.mark.parametrize('words', [
    ['-c', 'import refinepose_mm'], ['-m', 'refinepose_mm', '--help'],
    ['-m', 'refinepose_mm', '--version']])
def test_starting_imports_nothing_heavy(words):
    result = subprocess.run([sys.executable, '-X', 'importtime', *words], capture_output=True,
                            text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr[-2000:]
    imported = {line.split('|')[-1].strip().split('.')[0] for line in result.stderr.splitlines()
                if line.startswith('import time:')}
    assert not imported & {'torch', 'numpy', 'cv2', 'mmcv', 'mmengine', 'mmpose', 'matplotlib'}


@pytest.mark.parametrize('statements', [
    'import refinepose_mm; from mmpose.registry import MODELS',
    'import refinepose_mm; import mmpose.models; from mmpose.registry import MODELS',
    'import mmengine.registry, refinepose_mm; from mmpose.registry import MODELS',
    'import refinepose_mm, mmpose.apis; from mmpose.registry import MODELS',
    # The registries have already imported what they know.
    'import refinepose_mm.compat as compat, sys; compat.repair(); '
    'from mmpose.registry import MODELS; MODELS.get("HeatmapHead"); '
    'import importlib; importlib.reload(sys.modules["refinepose_mm"])',
])
def test_every_module_is_registered_in_whatever_order_things_are_imported(statements):
    check = '''
from mmpose.registry import (HOOKS, KEYPOINT_CODECS, OPTIM_WRAPPER_CONSTRUCTORS, TRANSFORMS,
                             WEIGHT_INITIALIZERS)
from mmengine.registry import FUNCTIONS
for registry, names in ((MODELS, ('ShortcutViT', 'GradualEmbedding', 'FusionHead',
                                  'PatchEmbedding', 'EarlyConvEmbedding', 'Float32HeatmapHead',
                                  'ExportedFile')),
                        (KEYPOINT_CODECS, ('BatchedUDPHeatmap', )),
                        (TRANSFORMS, ('LoadCompleteImage', 'ZeroBasedJoints')),
                        (HOOKS, ('EpochSeedHook', 'CompileNetworkHook', 'KeepMemoryHook')),
                        (FUNCTIONS, ('seed_worker', )),
                        (OPTIM_WRAPPER_CONSTRUCTORS, ('LayerWiseLRConstructor', )),
                        (WEIGHT_INITIALIZERS, ('EncoderWeights', ))):
    for name in names:
        assert registry.get(name) is not None, name
'''
    result = subprocess.run([sys.executable, '-c', statements + check], capture_output=True,
                            text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr[-2000:]
