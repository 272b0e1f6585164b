"""Create an environment over the one that runs this: it sees all packages here, its own come first.

    .venv/bin/python requirements/layer.py .venvs/export
    .venvs/export/bin/python -m pip install -r requirements/export.txt -c requirements/lock.txt

torch is on disk once, and no package in ``.venv`` changes. Running it again does no harm.
"""

import sys
import sysconfig
import venv
from pathlib import Path

SCRIPTS = ('mim', 'refinepose')  # the tests run them


def main(folder: Path) -> None:
    """Create the environment in a folder."""
    venv.create(folder, with_pip=False)  # pip is seen, too
    base = {'base': str(folder), 'platbase': str(folder)}
    site_packages = Path(sysconfig.get_path('purelib', vars=base))
    # Unlike a bare path, addsitedir reads the .pth files there: that of `pip install -e .` is one.
    (site_packages / 'layer.pth').write_text(
        f'import site; site.addsitedir({sysconfig.get_path("purelib")!r})\n')
    ours, theirs = (Path(sysconfig.get_path('scripts', vars=paths)) for paths in (None, base))
    for name in SCRIPTS:
        script = theirs / name
        if not (ours / name).is_file():  # a bare Python with torch alone
            continue
        script.write_text((ours / name).read_text().replace(str(ours), str(theirs)))
        script.chmod(0o755)


if __name__ == '__main__':
    main(Path(sys.argv[1]).resolve())
