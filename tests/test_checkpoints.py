"""Checkpoint files: what is read, what is refused, and what a download leaves behind."""

import pickle

import pytest
import torch

from refinepose_mm.checkpoints import read_checkpoint


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


def test_an_unreachable_url_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    with pytest.raises(OSError, match=r'cannot download .*model\.backbone\.init_cfg=None'):
        read_checkpoint('http://127.0.0.1:9/encoder.pth')
    assert not list((tmp_path / 'checkpoints').iterdir())


def test_a_downloaded_file_is_used_again(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    (tmp_path / 'checkpoints').mkdir()
    torch.save(dict(a=torch.ones(1)), tmp_path / 'checkpoints/encoder.pth')
    assert read_checkpoint('http://127.0.0.1:9/encoder.pth').keys() == {'a'}
