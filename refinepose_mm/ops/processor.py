"""Which processor this is."""

from __future__ import annotations

import platform
from pathlib import Path

CPUINFO = Path('/proc/cpuinfo')  # Linux


def processor() -> dict[str, str]:
    """What the system says of its first processor: ``vendor_id``, ``model name`` and more.

    Where there is no /proc/cpuinfo, both are what Python knows, such as 'AMD64 Family 25 Model 33
    Stepping 0, AuthenticAMD' on Windows.
    """
    if not CPUINFO.is_file():
        return dict.fromkeys(('vendor_id', 'model name'), platform.processor())
    first = CPUINFO.read_text().split('\n\n')[0]
    pairs = (line.partition(':') for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def processor_name() -> str:
    """Its name, with the family where the name does not show it, as that of cloud machines."""
    found = processor()
    name = found.get('model name', platform.machine())
    family = found.get('cpu family')
    return f'{name} (family {family}, model {found.get("model")})' if family else name


def is_amd() -> bool:
    """Whether it is one of AMD's."""
    return 'AuthenticAMD' in processor().get('vendor_id', '')
