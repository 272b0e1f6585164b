"""The folder of a page is written complete or not at all, with what it needs of onnxruntime-web."""

import hashlib
import json
import tarfile
from pathlib import Path

import pytest
import torch
from conftest import ROOT
from mmpose.apis import init_model
from mmpose.registry import KEYPOINT_CODECS

from refinepose_mm import cli
from refinepose_mm.bundled import DEMO, bundled
from refinepose_mm.deploy.network import load_model
from refinepose_mm.deploy.web import copy_runtime, new_folder, require_decodable, runtime
from refinepose_mm.deploy.web.page import STATIC

CONTENT = {'dist/ort.wasm.bundle.min.mjs': b'export {};',
           'dist/ort-wasm-simd-threaded.wasm': b'\0asm',
           'package.json': b'{"version": "9.9.9"}'}


@pytest.fixture
def package(tmp_path):
    """A folder like that of the npm package."""
    folder = tmp_path / 'onnxruntime-web'
    for name, content in CONTENT.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def packed(package):
    """The same as npm packs it."""
    path = package.with_suffix('.tgz')
    with tarfile.open(path, 'w:gz') as archive:
        archive.add(package, 'package')
    return path


def test_a_folder_appears_complete_or_not_at_all(tmp_path):
    output = tmp_path / 'page'
    with pytest.raises(RuntimeError):
        with new_folder(output) as folder:
            (folder / 'page.json').write_text('half')
            raise RuntimeError
    assert not list(tmp_path.iterdir())
    for text in ('first', 'second'):  # a page of ours is replaced
        with new_folder(output) as folder:
            (folder / 'page.json').write_text(text)
            assert not output.exists() or (output / 'page.json').read_text() == 'first'
        assert [path.name for path in tmp_path.iterdir()] == ['page']
        assert (output / 'page.json').read_text() == text


def test_what_no_export_wrote_is_never_replaced(tmp_path):
    output = tmp_path / 'page'
    output.mkdir()
    (output / 'thesis.tex').write_text('years of work')
    (tmp_path / 'file').write_text('a file')
    with pytest.raises(ValueError, match='page holds thesis.tex, which no export wrote'):
        with new_folder(output):
            pytest.fail('work was spent')
    with pytest.raises(ValueError, match='file is a file, expected a folder'):
        with new_folder(tmp_path / 'file'):
            pytest.fail('work was spent')
    with pytest.raises(FileNotFoundError, match='nowhere'):
        with new_folder(tmp_path / 'nowhere/page'):
            pytest.fail('work was spent')
    assert (output / 'thesis.tex').read_text() == 'years of work'


def test_a_page_that_holds_an_input_is_not_replaced(tmp_path):
    output = tmp_path / 'page'
    with new_folder(output) as folder:
        (folder / 'onnxruntime').mkdir()
        (folder / 'onnxruntime/epoch_1.pth').write_text('a checkpoint')
    (tmp_path / 'link').symlink_to(output)
    for source in (output / 'onnxruntime/epoch_1.pth', tmp_path / 'link/onnxruntime'):
        with pytest.raises(ValueError, match='page holds the input .*onnxruntime'):
            with new_folder(output, [source]):
                pytest.fail('work was spent')
    assert (output / 'onnxruntime/epoch_1.pth').read_text() == 'a checkpoint'


@pytest.mark.parametrize('kind', [Path, packed], ids=['folder', 'tgz'])
def test_only_what_is_needed_comes_from_the_package(package, kind, tmp_path):
    page = tmp_path / 'page'
    page.mkdir()
    assert copy_runtime(page, kind(package)) == 'onnxruntime-web 9.9.9'
    files = {path.name: path.read_bytes() for path in (page / 'onnxruntime').iterdir()}
    assert files.pop('README.txt').endswith(b'MIT License.\n')
    assert files == {'ort.wasm.bundle.min.js': b'export {};',
                     'ort-wasm-simd-threaded.wasm': b'\0asm'}


def test_another_package_is_named(package, tmp_path):
    (package / 'dist/ort-wasm-simd-threaded.wasm').unlink()
    with pytest.raises(FileNotFoundError, match='has no dist/ort-wasm-simd-threaded.wasm'):
        copy_runtime(tmp_path, package)
    with pytest.raises(FileNotFoundError, match='nowhere.tgz not found'):
        copy_runtime(tmp_path, tmp_path / 'nowhere.tgz')
    archive = packed(package)
    for content in (archive.read_bytes()[:60], b'no archive'):
        archive.write_bytes(content)
        with pytest.raises(ValueError, match='is not a complete .tgz file'):
            copy_runtime(tmp_path, archive)
    assert not (tmp_path / 'onnxruntime').exists()


def test_without_npm_the_way_out_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(ImportError, match='npm fetches .* not installed; or name .*--onnxruntime-'):
        copy_runtime(tmp_path)
    npm = tmp_path / 'npm'
    npm.write_text('#!/bin/sh\necho no network >&2\nexit 1\n')
    npm.chmod(0o755)
    with pytest.raises(ImportError, match=r'could not fetch onnxruntime-web .* \(no network\)'):
        copy_runtime(tmp_path)


def test_a_package_that_was_tampered_with_is_refused(package, tmp_path, monkeypatch):
    archive = packed(package)
    npm = tmp_path / 'npm'
    npm.write_text(f'#!/bin/sh\n/bin/cp {archive} onnxruntime-web-{runtime.VERSION}.tgz\n')
    npm.chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(ValueError, match='has another SHA-512 than the known one'):
        copy_runtime(tmp_path)
    digest = hashlib.sha512(archive.read_bytes()).digest()
    monkeypatch.setattr(runtime, 'SHA512', runtime.base64.b64encode(digest).decode())
    assert copy_runtime(tmp_path) == 'onnxruntime-web 9.9.9'


def test_models_that_the_page_cannot_decode_are_refused():
    model = load_model(*bundled(DEMO)[:2])
    require_decodable(model)
    sizes = dict(input_size=(128, 128), heatmap_size=(32, 32))
    model.head.decoder = KEYPOINT_CODECS.build(dict(type='UDPHeatmap', **sizes))
    require_decodable(model)  # the same function
    for codec in (dict(type='MSRAHeatmap', sigma=2),
                  dict(type='UDPHeatmap', heatmap_type='combined')):
        model.head.decoder = KEYPOINT_CODECS.build(dict(codec, **sizes))
        with pytest.raises(ValueError, match=f'the page decodes Gaussian .* not {codec["type"]}'):
            require_decodable(model)
    nameless = init_model(str(ROOT / 'configs/refinepose_tiny_toy.py'), device='cpu')
    nameless.dataset_meta = None
    with pytest.raises(ValueError, match='needs names of all 17 joints, .* has 0'):
        require_decodable(nameless)


def test_the_command_writes_a_page(package, tmp_path, capsys, monkeypatch):
    for name in ('onnx', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(name, reason=f'{name} is not installed')
    monkeypatch.chdir(tmp_path)
    config = str(ROOT / 'configs/refinepose_tiny_toy.py')
    torch.save(dict(state_dict=init_model(config, device='cpu').state_dict()), 'tiny.pth')
    words = ['export', config, 'tiny.pth', '--format', 'web', '--onnxruntime-web', str(package)]
    assert cli.main(words) == 0
    out = capsys.readouterr().out
    assert 'python -m http.server --directory tiny_web' in out
    assert 'keypoints' in out and 'apart in the median' in out
    about = json.loads((tmp_path / 'tiny_web/page.json').read_text())
    assert about['input']['size'] == [96, 128] and len(about['keypoints']['names']) == 17
    page = about['page']
    assert page['name'] == 'tiny' and page['runtime'] == 'onnxruntime-web 9.9.9'
    assert page['model_bytes'] == (tmp_path / 'tiny_web/model.onnx').stat().st_size
    assert page['keypoint_colors'][0] == [51, 153, 255]  # COCO's nose
    assert len(page['link_colors']) == len(about['keypoints']['skeleton'])
    assert len(page['blur_kernel']) == 11 and page['flip_test']
    names = {path.name for path in (tmp_path / 'tiny_web').iterdir()}
    assert names == {path.name for path in STATIC.iterdir()} | {
        'page.json', 'model.onnx', 'onnxruntime'}
    for wrong in ('--decode', '--interface=rtmlib'):
        assert cli.main([*words, wrong]) == 2
        assert 'is not for --format web' in capsys.readouterr().err
