"""Checkpoint files: what is read, what is refused, and what is written."""

import json
import pickle
import sys

import pytest
import torch
from mmengine.logging import HistoryBuffer
from safetensors.torch import save_file
from torch import nn

from refinepose_mm import checkpoints
from refinepose_mm.checkpoints import (
    open_checkpoint,
    read_checkpoint,
    require_finite,
    write_checkpoint,
)


class Innocent:
    """Anything that is not a tensor."""


def test_files_that_are_refused(tmp_path):
    path = tmp_path / 'weights.pth'
    with pytest.raises(FileNotFoundError, match='weights.pth not found'):
        read_checkpoint(str(path))
    torch.save(dict(model=Innocent()), path)
    with pytest.raises(ValueError, match='Innocent, which is refused'):
        read_checkpoint(str(path))
    path.write_bytes(pickle.dumps([1, 2])[:-3])
    with pytest.raises(ValueError, match='weights.pth'):
        read_checkpoint(str(path))
    torch.save(dict(model=dict(a=torch.zeros(1000))), path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match='not a complete checkpoint'):
        read_checkpoint(str(path))
    torch.save([torch.zeros(1)], path)
    with pytest.raises(ValueError, match='no table of tensors'):
        read_checkpoint(str(path))
    (tmp_path / 'x.safetensors').write_bytes(b'nonsense')
    with pytest.raises(ValueError, match='not a complete checkpoint'):
        read_checkpoint(str(tmp_path / 'x.safetensors'))


def test_pickles_are_not_read_where_torch_cannot_do_it_safely(tmp_path, monkeypatch):
    torch.save(dict(a=torch.ones(1)), tmp_path / 'x.pth')
    save_file(dict(a=torch.ones(1)), tmp_path / 'x.safetensors')
    monkeypatch.setattr(torch, '__version__', torch.torch_version.TorchVersion('2.5.1'))
    with pytest.raises(ValueError, match=r'PyTorch 2\.5\.1 cannot read \.pth files safely'):
        read_checkpoint(tmp_path / 'x.pth')
    assert read_checkpoint(tmp_path / 'x.safetensors').keys() == {'a'}


@pytest.mark.parametrize('value', [
    {3: torch.ones(1)}, dict(a=torch.ones(1).to_sparse()), dict(a=torch.ones(1, device='meta')),
    dict(a=torch.ones(1).expand(10**12))], ids=['number as a name', 'sparse', 'meta', 'bomb'])
def test_tables_of_other_things_are_refused(tmp_path, value):
    torch.save(value, tmp_path / 'x.pth')
    with pytest.raises(ValueError, match='no table of tensors'):
        read_checkpoint(tmp_path / 'x.pth')


def test_a_download_is_read(tmp_path, monkeypatch):
    torch.save(dict(a=torch.ones(1)), tmp_path / 'x.pth')
    monkeypatch.setattr(checkpoints, 'local_file', lambda url: tmp_path / 'x.pth')
    assert read_checkpoint('https://example.org/x.pth').keys() == {'a'}
    (tmp_path / 'x.pth').write_bytes(b'half')  # of a server that lies about the length
    with pytest.raises(ValueError, match=r'x.pth .*\(from https://example.org/x.pth; delete the '
                                         r'file to download it anew\)'):
        read_checkpoint('https://example.org/x.pth')
    with pytest.raises(ValueError, match='[^)]$'):
        read_checkpoint(tmp_path / 'x.pth')


def test_a_training_checkpoint_of_mmengine_is_read(tmp_path):
    torch.save(dict(state_dict=dict(a=torch.ones(1)), meta=dict(cfg='model = 1', epoch=3),
                    message_hub=dict(log_scalars=dict(loss=HistoryBuffer([1.], [1]))),
                    optimizer=dict(state={})), tmp_path / 'x.pth')
    tensors, meta = open_checkpoint(tmp_path / 'x.pth')
    assert tensors.keys() == {'a'} and meta == dict(cfg='model = 1', epoch=3)


class Versioned(nn.Module):
    """A module that takes weights without a version for old ones, as MMPose's heads do."""

    _version = 2

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
        if local_metadata.get('version', 1) < 2:
            state_dict[f'{prefix}weight'] = -state_dict[f'{prefix}weight']
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


def test_versions_of_modules_are_kept(tmp_path):
    model = nn.Sequential(Versioned())
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'new.pth')
    model.load_state_dict(read_checkpoint(tmp_path / 'new.pth'))
    assert model[0].weight == 1
    torch.save(dict(model.state_dict()), tmp_path / 'old.pth')  # a plain table has none
    model.load_state_dict(read_checkpoint(tmp_path / 'old.pth'))
    assert model[0].weight == -1
    odd = model.state_dict()
    odd._metadata = {'0': {'version': 'x'}, '': [1], 3: {}}
    torch.save(odd, tmp_path / 'odd.pth')
    model.load_state_dict(read_checkpoint(tmp_path / 'odd.pth'))
    assert model[0].weight == 1


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_what_is_written_is_read(tmp_path, suffix):
    output = tmp_path / f'encoder{suffix}'
    tensors = dict(a=torch.randn(3, 4).T, b=torch.randn(2).half())
    write_checkpoint(output, tensors, dict(num_heads=6, source='timm'))
    read, meta = open_checkpoint(output)
    assert read.keys() == tensors.keys()
    for name, value in tensors.items():
        assert torch.equal(read[name], value) and read[name].dtype == value.dtype
    assert int(meta['num_heads']) == 6 and meta['source'] == 'timm'
    (tmp_path / 'other').touch()
    assert output.stat().st_mode == (tmp_path / 'other').stat().st_mode
    with pytest.raises(ValueError, match='is the input'):
        write_checkpoint(output, tensors, {}, inputs=[output])
    assert open_checkpoint(output).meta


@pytest.mark.skipif(sys.platform != 'linux', reason='limits the size of files')
@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_a_full_disk_is_one_line_and_the_old_file_stays(tmp_path, suffix):
    import resource
    output = tmp_path / f'encoder{suffix}'
    write_checkpoint(output, dict(a=torch.ones(1)), {})
    before = output.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match='is the disk full') as error:
            write_checkpoint(output, dict(a=torch.ones(1_000_000)), {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert '\n' not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == [output.name]
    assert output.read_bytes() == before


def test_numbers_that_are_not_finite_are_named():
    tensors = {f'layers.{i}.weight': torch.ones(2, 2) for i in range(5)}
    require_finite({**tensors, 'steps': torch.tensor(3)}, 'x.pth')
    for i, value in zip((0, 2, 3, 4), (float('nan'), float('inf'), -float('inf'), float('nan'))):
        tensors[f'layers.{i}.weight'][1, 0] = value
    with pytest.raises(ValueError, match=(
            r'x\.pth holds NaN or infinite numbers in 4 of 5 tensors: layers\.0\.weight, '
            r'layers\.2\.weight, layers\.3\.weight, \.\.\.')):
        require_finite(tensors, 'x.pth')


def sharded(folder, weight_map=None):
    """Two files, an index and a config, as Hugging Face writes large models."""
    for number, name in enumerate('ab'):
        save_file({name: torch.full((2, ), float(number))}, folder / f'model-{name}.safetensors')
    (folder / 'config.json').write_text(json.dumps(dict(model_type='vit')))
    (folder / 'model.safetensors.index.json').write_text(json.dumps(dict(
        weight_map=weight_map or {name: f'model-{name}.safetensors' for name in 'ab'})))
    return folder


def test_a_folder_or_an_index_names_several_files(tmp_path):
    sharded(tmp_path)
    tensors, meta = open_checkpoint(tmp_path)
    assert tensors['a'].tolist() == [0, 0] and tensors['b'].tolist() == [1, 1]
    assert meta == dict(config=dict(model_type='vit'))
    assert read_checkpoint(tmp_path / 'model.safetensors.index.json').keys() == {'a', 'b'}
    save_file(dict(c=torch.ones(1)), tmp_path / 'model.safetensors')
    assert read_checkpoint(tmp_path).keys() == {'c'}


@pytest.mark.parametrize('weight_map, message', [
    (dict(a='../model-a.safetensors'), 'of its folder'),
    (dict(a='/etc/model.safetensors'), 'of its folder'),
    (dict(a='model-c.safetensors'), 'model-c.safetensors not found'),
    (dict(c='model-a.safetensors'), 'names 1 tensors that its files lack, such as c'),
    ([1], 'no table weight_map'),
])
def test_an_index_that_is_refused(tmp_path, weight_map, message):
    with pytest.raises((ValueError, OSError), match=message):
        read_checkpoint(sharded(tmp_path, weight_map))


def test_folders_that_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match='expected one of model.safetensors'):
        read_checkpoint(tmp_path)
    (tmp_path / 'config.json').write_text('{')
    with pytest.raises(ValueError, match='is no JSON'):
        read_checkpoint(tmp_path)
    (tmp_path / 'config.json').write_text('[]')
    with pytest.raises(ValueError, match='no JSON object'):
        read_checkpoint(tmp_path)
