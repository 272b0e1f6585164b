"""A page of the site that runs the bundled model, if the packages for export are at hand."""

from __future__ import annotations

import subprocess
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / '.venvs/export/bin/python'  # `make test-all` makes this environment
OUTPUT = ROOT / 'build/demo_web'
PAGE, FOLDER = 'try_it.md', 'demo'
missing = ''  # why there is no page
INTRODUCTION = '''# Try it

The [demonstration model](source/refinepose_mm/bundled/demo.md.md) as a page, made by
`refinepose export demo --format web`. It runs in the browser: photos never leave your device.
'''


def on_startup(**_: object) -> None:
    """Export the bundled model, once for a build or a server."""
    global missing
    missing = _export()


def _export() -> str:
    """Make the page; returns why there is none, or nothing."""
    if not PYTHON.is_file():
        return 'the packages for export were not at hand'
    words = ['-m', 'refinepose_mm', 'export', 'demo', '--format', 'web', '--output', str(OUTPUT)]
    OUTPUT.parent.mkdir(exist_ok=True)
    done = subprocess.run([PYTHON, *words], cwd=ROOT, capture_output=True, text=True)
    return '' if done.returncode == 0 else (done.stderr.strip().splitlines() or ['no reason'])[-1]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page, or a sentence that says why there is none."""
    if missing:
        text = f'This copy of the site was built without it: {missing}.'
    else:
        text = f'[Open the page]({FOLDER}/index.html){{ .md-button .md-button--primary }}'
        for path in sorted(OUTPUT.rglob('*')):
            if path.is_file():
                name = f'{FOLDER}/{path.relative_to(OUTPUT).as_posix()}'
                files.append(File.generated(config, name, abs_src_path=str(path)))
    files.append(File.generated(config, PAGE, content=f'{INTRODUCTION}\n{text}\n'))
    return files
