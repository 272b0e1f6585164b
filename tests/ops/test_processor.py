"""Which processor this is, on systems that say it in different ways."""

import platform

import pytest

from refinepose_mm.ops import processor

LINUX = '''processor\t: 0
vendor_id\t: {vendor}
cpu family\t: 26
model\t\t: 2
model name\t: {name}
flags\t\t: fpu vme

processor\t: 1
vendor_id\t: other
'''
ARM = 'processor\t: 0\nBogoMIPS\t: 48.00\nCPU implementer\t: 0x61\n'
WINDOWS = 'AMD64 Family 25 Model 33 Stepping 0, AuthenticAMD'


@pytest.mark.parametrize('text, name, amd', [
    (LINUX.format(vendor='AuthenticAMD', name='AMD EPYC'), 'AMD EPYC (family 26, model 2)', True),
    (LINUX.format(vendor='GenuineIntel', name='Xeon'), 'Xeon (family 26, model 2)', False),
    (ARM, 'aarch64', False),
    (None, WINDOWS, True),
])
def test_linux_and_others(tmp_path, monkeypatch, text, name, amd):
    path = tmp_path / 'cpuinfo'
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr(processor, 'CPUINFO', path)
    monkeypatch.setattr(platform, 'machine', lambda: 'aarch64')
    monkeypatch.setattr(platform, 'processor', lambda: WINDOWS)
    assert processor.processor_name() == name
    assert processor.is_amd() == amd
