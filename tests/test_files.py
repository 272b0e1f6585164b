"""Writers leave a complete file or what stood there before, and never touch their inputs."""

import errno
import os

import pytest

from refinepose_mm.files import refuse_inputs, replacing, require_folder


def test_a_file_appears_complete_with_its_companions(tmp_path):
    with replacing(tmp_path / 'model.xml') as path:
        path.write_text('graph')
        path.with_suffix('.bin').write_text('weights')
        assert not (tmp_path / 'model.xml').exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ['model.bin', 'model.xml']
    assert (tmp_path / 'model.xml').read_text() == 'graph'


@pytest.mark.parametrize('error', [OSError('No space left on device'), KeyboardInterrupt()])
def test_an_interrupted_write_leaves_the_old_file(tmp_path, error):
    (tmp_path / 'out.json').write_text('old')
    with pytest.raises(type(error)), replacing(tmp_path / 'out.json') as path:
        path.write_text('ne')
        raise error
    assert [p.name for p in tmp_path.iterdir()] == ['out.json']
    assert (tmp_path / 'out.json').read_text() == 'old'


@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EFBIG])
def test_a_full_disk_names_the_file(tmp_path, number):
    """Python's own error, of a file that is open already, has no name."""
    with pytest.raises(OSError, match='not written: .*out.json') as caught:
        with replacing(tmp_path / 'out.json'):
            raise OSError(number, os.strerror(number))
    assert caught.value.errno == number
    with pytest.raises(OSError, match='^nameless$'), replacing(tmp_path / 'out.json'):
        raise OSError('nameless')


@pytest.mark.parametrize('link', [os.symlink, os.link, None])
def test_an_output_that_is_an_input_is_refused(tmp_path, link):
    (tmp_path / 'in.pth').write_text('weights')
    output = tmp_path / 'folder' / '..' / 'in.pth'
    (tmp_path / 'folder').mkdir()
    if link:
        output = tmp_path / 'other.pth'
        link(tmp_path / 'in.pth', output)
    with pytest.raises(ValueError, match='other output' if link is None else 'is the input'):
        with replacing(output, inputs=[tmp_path / 'in.pth']):
            raise AssertionError('the block must not run')
    assert (tmp_path / 'in.pth').read_text() == 'weights'
    refuse_inputs(tmp_path / 'new.pth', [tmp_path / 'in.pth', tmp_path / 'missing.pth'])


def test_a_link_is_followed(tmp_path):
    (tmp_path / 'real').mkdir()
    (tmp_path / 'real/out.txt').write_text('old')
    (tmp_path / 'out.txt').symlink_to(tmp_path / 'real/out.txt')
    with replacing(tmp_path / 'out.txt') as path:
        path.write_text('new')
    assert (tmp_path / 'out.txt').is_symlink()
    assert (tmp_path / 'real/out.txt').read_text() == 'new'


def test_impossible_outputs_are_refused_first(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'folder .*none of output out.txt not found'):
        require_folder(tmp_path / 'none/out.txt')
    with pytest.raises(IsADirectoryError, match='expected a file name'):
        require_folder(tmp_path)
