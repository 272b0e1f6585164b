"""Crafted pickles: refused with one line, where numpy's own functions would crash or obey."""

import copy
import io
import pickle
import pickletools
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from refinepose_mm import compat
from refinepose_mm.pickles import stand_ins

compat.repair()

HISTORY = b'cmmengine.logging.history_buffer\nHistoryBuffer\n'
GETATTR = b'c__builtin__\ngetattr\n'
DTYPE = b'cnumpy\ndtype\n'
ARRAY = b'cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00t'
SCALAR = b'cnumpy.core.multiarray\nscalar\n'


def text(value):
    content = value.encode()
    return b'X' + len(content).to_bytes(4, 'little') + content


def raw(value):
    """Bytes, as pickle's protocol 2 writes them."""
    return b'c_codecs\nencode\n(' + text(value.decode('latin1')) + text('latin1') + b'tR'


def plain(value):
    """The opcodes of a plain value."""
    return pickletools.optimize(pickle.dumps(value, 2))[2:-1]


def dtype(code='f8', state=(3, '<', None, None, None, -1, -1, 0)):
    return DTYPE + b'(' + text(code) + b'\x89\x88tR' + plain(state) + b'b'


def array(shape=(1, ), kind=None, content=b'\0' * 8, version=1):
    return (ARRAY + raw(b'b') + b'tR' + b'(' + plain(version) + plain(shape)
            + (kind or dtype()) + b'\x89' + raw(content) + b'tb')


def load(opcodes, path):
    """Through torch.load, from a file as torch writes it, with these opcodes in it."""
    torch.save(0, path)
    content = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(content, 'w') as new:
        for name in old.namelist():
            new.writestr(name, b'\x80\x02' + opcodes + b'.' if name.endswith('data.pkl')
                         else old.read(name))
    path.write_bytes(content.getvalue())
    return torch.load(path, weights_only=True)


def test_the_opcodes_of_these_tests_are_what_numpy_writes(tmp_path):
    assert load(array(content=np.float64(1.5).tobytes()), tmp_path / 'a.pth').tolist() == [1.5]
    assert load(SCALAR + b'(' + dtype('i4') + raw(b'\2\0\0\0') + b'tR', tmp_path / 'b.pth') == 2


REFUSED = {
    # Types: objects, whose bytes would be taken for pointers, raw memory, structures, texts, dates.
    'objects': (array(kind=dtype('O8')), 'numpy type'),
    'void': (array(kind=dtype('V8')), 'numpy type'),
    'structure': (array(kind=dtype('f4,O')), 'numpy type'),
    'strings': (array(kind=dtype('U2')), 'numpy type'),
    'dates': (array(kind=dtype('M8')), 'numpy type'),
    'a list as type': (DTYPE + b'(' + plain([('a', 'O')]) + b'tR', 'numpy type'),
    # States of types: sizes, fields and flags that contradict the type.
    'size of a type': (array(kind=dtype(state=(3, '<', None, None, None, 1 << 30, -1, 0))),
                       'state .* of a numpy type'),
    'flags of a type': (array(kind=dtype(state=(3, '<', None, None, None, -1, -1, 63))),
                        'state .* of a numpy type'),
    'fields of a type': (array(kind=dtype(state=(3, '<', None, ('a', ), {'a': 1}, -1, -1, 0))),
                         'state .* of a numpy type'),
    'subarray': (array(kind=dtype(state=(3, '<', ('f8', (9, )), None, None, -1, -1, 0))),
                 'state .* of a numpy type'),
    'byte order': (array(kind=dtype(state=(3, 'S', None, None, None, -1, -1, 0))),
                   'state .* of a numpy type'),
    # States of arrays.
    'shape larger than the content': (array(shape=(1000, )), 'not 8000 bytes'),
    'negative shape': (array(shape=(-1, )), 'shape'),
    'shape that overflows': (array(shape=(2**62, 4)), 'shape'),
    'empty shape that overflows': (array(shape=(0, 2**62), content=b''), 'shape'),
    'hundred axes': (array(shape=(1, ) * 100), 'shape'),
    'shape of floats': (array(shape=(1., )), 'shape'),
    'content as text': (array().replace(raw(b'\0' * 8), text('\0' * 8)), 'not 8 bytes'),
    'content as list of objects': (array().replace(raw(b'\0' * 8), b']'), 'not 8 bytes'),
    'type that is none': (array(kind=b'K\x01'), 'array of type'),
    'booleans of 7': (array(kind=dtype('b1', (3, '|') + (None, ) * 3 + (-1, -1, 0)),
                            content=b'\7'), 'other than 0 and 1'),
    'set twice': (array() + array()[len(ARRAY + raw(b'b') + b'tR'):], 'unknown state'),
    'unknown version': (array(version=2), 'unknown state'),
    # Calls.
    'ndarray called': (b'cnumpy\nndarray\n(K\x08' + text('O') + b'tR', 'NumberArray|positional'),
    'ndarray made': (b'cnumpy\nndarray\n(K\x08' + text('O') + b't\x81', 'NumberArray|positional'),
    'reconstruct of another type': (ARRAY.replace(b'cnumpy\nndarray\n', HISTORY) + raw(b'b')
                                    + b'tR', 'array of type'),
    'scalar of an object': (SCALAR + b'(' + dtype('O8') + raw(b'\0' * 8) + b'tR', 'numpy type'),
    'scalar without a type': (SCALAR + b'(K\x01' + raw(b'\0' * 8) + b'tR', 'value of type'),
    'scalar that is too short': (SCALAR + b'(' + dtype() + raw(b'\0') + b'tR', 'not 8 bytes'),
    'bytes with a size': (b'c__builtin__\nbytes\n(J\xff\xff\xff\x7ftR', 'bytes with arguments'),
    "torch's back door to __setstate__": (
        b'ctorch._tensor\n_rebuild_from_type_v2\n(cnumpy\nndarray\ncnumpy\nndarray\n)('
        + plain(1) + plain((99, )) + dtype() + b'\x89' + raw(b'') + b'ttR', 'not 792 bytes'),
    # HistoryBuffer and its class.
    'table of the class': (GETATTR + b'(' + HISTORY + text('_statistics_methods') + b'tR('
                           + text('mean') + b'K\x01u', 'getattr'),
    'globals of a method': (GETATTR + b'(' + HISTORY + text('__init__') + b'tR', 'getattr'),
    'getattr of an array': (GETATTR + b'(cnumpy\nndarray\n' + text('tofile') + b'tR', 'getattr'),
    'buffer called': (HISTORY + b'(]]tR', 'HistoryBuffer|positional'),
    'buffer with an attribute': (HISTORY + b')\x81' + plain(dict(mean=1)) + b'b', 'unknown attr'),
    'buffer without values': (HISTORY + b')\x81' + plain(dict(_log_history=[1.])) + b'b',
                              'without its values'),
    'a class as target': (HISTORY + plain(dict(mean=1)) + b'b', 'Can only build'),
    'a class as dict': (HISTORY + text('mean') + b'K\x01s', 'Can only SETITEM'),
}


@pytest.mark.parametrize('name', REFUSED)
def test_refused(name, tmp_path):
    opcodes, message = REFUSED[name]
    table = dict(HistoryBuffer._statistics_methods)
    with pytest.raises((pickle.UnpicklingError, TypeError), match=message):
        load(opcodes, tmp_path / 'evil.pth')
    assert HistoryBuffer._statistics_methods == table


def test_nothing_else_is_vouched_for():
    """A name more is a door more."""
    cores = [f'numpy.{core}.multiarray.{name}' for core in ('core', '_core')
             for name in ('_reconstruct', 'scalar')]
    expected = {'mmengine.logging.history_buffer.HistoryBuffer', 'numpy.ndarray', 'numpy.dtype',
                'builtins.getattr', 'builtins.bytes', *cores}
    assert {name for _, name in stand_ins()} == expected
    assert {function.__module__ for function, _ in stand_ins()} == {'refinepose_mm.pickles'}
    entries = [entry[0] if isinstance(entry, tuple) else entry
               for entry in torch.serialization.get_safe_globals()]
    assert {entry.__module__.split('.')[0] for entry in entries} <= {'refinepose_mm', 'torch'}


def test_a_file_cannot_change_what_mean_is(tmp_path):
    """An honest HistoryBuffer brings the table of its class along; ours takes none of it."""
    HistoryBuffer()  # the table is filled by the first one
    values = array((2, ), content=bytes(16))
    worst = GETATTR + b'(' + HISTORY + text('max') + b'tR'
    opcodes = (HISTORY + b')\x81}(' + text('_log_history') + values + text('_count_history')
               + values + text('max_length') + b'K\x09' + text('statistics_methods') + b'}('
               + text('mean') + worst + b'uub')
    before = HistoryBuffer._statistics_methods['mean']
    buffer = load(opcodes, tmp_path / 'c.pth')
    assert type(buffer) is HistoryBuffer and buffer.data[0].tolist() == [0, 0]
    assert HistoryBuffer._statistics_methods['mean'] is before is HistoryBuffer.mean


@pytest.mark.parametrize('value', [
    np.arange(6, dtype=np.int16).reshape(2, 3), np.asfortranarray(np.eye(3)), np.array(2.5),
    np.arange(3).astype('>f4'), np.zeros((0, 3), np.uint8), np.array([True, False]),
    np.array([1 + 2j], np.complex64), np.float16(.5), np.bool_(True), np.int64(-3)])
def test_honest_values_arrive(value, tmp_path):
    torch.save(value, tmp_path / 'a.pth')
    loaded = torch.load(tmp_path / 'a.pth', weights_only=True)
    assert np.array_equal(loaded, value)
    assert loaded.dtype == value.dtype.newbyteorder('=')  # numpy makes them native, too
    for again in (copy.deepcopy(loaded), pickle.loads(pickle.dumps(loaded))):
        assert np.array_equal(again, value)
    assert b'refinepose' not in pickle.dumps(loaded)  # others can read what was read here


def test_honest_histories_arrive(tmp_path):
    buffer = HistoryBuffer([1., 3.], [1, 1])
    torch.save(buffer, tmp_path / 'a.pth')
    loaded = torch.load(tmp_path / 'a.pth', weights_only=True)
    assert type(loaded) is HistoryBuffer and type(loaded.data[0]) is np.ndarray
    loaded.update(5)
    assert loaded.mean() == 3 and loaded.statistics('current') == 5 and len(buffer.data[0]) == 2


def test_thousand_mutated_files_crash_nothing(tmp_path):
    """Bytes of an honest pickle changed at random: a value or an exception, never a signal."""
    code = '''
import io, random, sys, warnings, zipfile
import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from refinepose_mm import compat
warnings.simplefilter('ignore')
compat.repair()
torch.save(dict(history=HistoryBuffer([1., 2.], [1, 1]), array=np.arange(3.), flags=np.eye(2) > 0,
                number=np.float64(3), empty=np.zeros((0, 3))), sys.argv[1])
files = zipfile.ZipFile(sys.argv[1])
honest = {name: files.read(name) for name in files.namelist()}
random = random.Random(0)
loaded = 0
for _ in range(1000):
    content = io.BytesIO()
    with zipfile.ZipFile(content, 'w') as changed:
        for name, data in honest.items():
            if name.endswith('data.pkl'):
                data = bytearray(data)
                for _ in range(random.randint(1, 3)):
                    data[random.randrange(2, len(data))] = random.choice(
                        [random.randrange(256), random.choice(data)])
            changed.writestr(name, bytes(data))
    content.seek(0)
    try:
        value = torch.load(content, weights_only=True)
        repr(value), [np.sum(item) for item in value.values() if isinstance(item, np.ndarray)]
        loaded += 1
    except Exception:
        pass
print(loaded)
'''
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', code, tmp_path / 'a.pth'],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert 0 < int(done.stdout) < 1000
