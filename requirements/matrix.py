"""Run the package from its oldest to its newest versions: `make matrix`.

    python3 requirements/matrix.py [SET ...]

Each set has an environment `.venvs/matrix_SET`, kept between runs, and `.reports/matrix_SET` has
what its steps printed. The table at the end is for docs/install.md.
"""

from __future__ import annotations

import datetime
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
SHOWN = ('torch', 'numpy', 'opencv-python-headless', 'xtcocotools')

TESTED_TORCH = '-r', 'requirements/torch.txt'


class Set(NamedTuple):
    """Python, what is installed with its dependencies first, and what replaces the lock's pins."""

    python: str
    torch: tuple[str, ...]
    newest: tuple[str, ...] = ()


SETS = {
    'oldest': Set('3.9', ('torch==2.6.0', 'torchvision==0.21.0')),
    '3.10': Set('3.10', TESTED_TORCH),
    'tested': Set('3.11', TESTED_TORCH),
    '3.12': Set('3.12', TESTED_TORCH),
    # With OpenMMLab's last releases, and all else as new as pyproject.toml admits.
    'newest': Set('3.13', ('torch', 'torchvision'), (
        'numpy', 'opencv-python-headless', 'scipy', 'matplotlib', 'pandas', 'pillow',
        'pycocotools', 'shapely', 'safetensors', 'av')),
}


def commands(chosen: Set, folder: Path) -> dict[str, list[list[str]]]:
    """The steps of a set, name -> command lines."""
    python, refinepose = f'{folder}/bin/python', f'{folder}/bin/refinepose'
    install = [python, '-m', 'pip', 'install', '--disable-pip-version-check']
    lock = ['-r', 'requirements/lock.txt', '--no-deps']
    ours = ['--no-build-isolation', '-e', '.']
    toy = f'{folder}/toy'
    return {
        'install': [
            [*install, *chosen.torch, *([] if chosen.newest else ['-c', lock[1]])],
            [*install, *lock],
            [*install, *ours, *(['--upgrade', *chosen.newest] if chosen.newest else ['--no-deps'])],
        ],
        'import': [[refinepose, 'doctor']],
        'tests': [[python, '-m', 'pytest', '-q', 'tests/models', 'tests/codecs']],
        'train, test, predict': [[refinepose, 'demo', '--train', '32', '--val', '8',
                                  '--data', f'{toy}/data', '--work-dir', f'{toy}/run']],
        'export': [[python, '-c', 'import sys; from refinepose_mm.demo import best_checkpoint; '
                    'from refinepose_mm.cli import main; from pathlib import Path; '
                    f'sys.exit(main(["export", "configs/refinepose_tiny_toy.py", '
                    f'str(best_checkpoint(Path({toy!r}, "run"))), "--format", "torch-export", '
                    f'"--output", "{toy}/model.pt2"]))']],
    }


def run(name: str) -> tuple[dict[str, str], bool]:
    """Build the environment of a set and run its steps.

    Returns:
        Column of the table -> its text, and whether all steps passed.
    """
    chosen = SETS[name]
    row = {'set': name, 'Python': chosen.python}
    interpreter = shutil.which(f'python{chosen.python}')
    if interpreter is None:
        return {**row, 'result': f'not run: no python{chosen.python} in PATH'}, False
    folder, logs = ROOT / f'.venvs/matrix_{name}', ROOT / f'.reports/matrix_{name}'
    logs.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / 'toy', ignore_errors=True)
    subprocess.run([interpreter, '-m', 'venv', folder], check=True)
    environment = {**os.environ, 'PATH': f'{folder}/bin{os.pathsep}{os.environ["PATH"]}',
                   'PYTHONPATH': ''}
    failures = []
    for step, lines in commands(chosen, folder).items():
        print(f'==> {name}: {step}', flush=True)
        log = logs / f'{step.replace(", ", "_")}.log'
        with log.open('w') as file:
            failed = any(subprocess.run(line, cwd=ROOT, env=environment, stdout=file,
                                        stderr=subprocess.STDOUT).returncode for line in lines)
        if failed:
            print(f'failed; {log.relative_to(ROOT)} ends with:')
            print('\n'.join(log.read_text().splitlines()[-15:]))
            failures.append(step)
            if step == 'install':
                break
    result = f'failed: {", ".join(failures)}' if failures else 'passed'
    return {**row, **versions(folder), 'result': result}, not failures


def versions(folder: Path) -> dict[str, str]:
    """Versions of the packages that decide, as they are in an environment."""
    listed = subprocess.run([folder / 'bin/python', '-m', 'pip', 'list', '--format', 'freeze'],
                            capture_output=True, text=True, check=True).stdout.split()
    found = dict(line.split('==') for line in listed if '==' in line)
    return {package: found.get(package, '-') for package in SHOWN}


def main(names: list[str]) -> int:
    """Run sets, all by default, one after the other, and print a table of them."""
    if unknown := set(names) - set(SETS):
        print(f'sets must be among {", ".join(SETS)}, got {", ".join(sorted(unknown))}',
              file=sys.stderr)
        return 2
    done = [run(name) for name in names or SETS]
    columns = ['set', 'Python', *SHOWN, 'result']
    print(f'\n{datetime.date.today()}, {os.cpu_count()} cores\n')
    print(f'| {" | ".join(columns)} |\n|{"---|" * len(columns)}')
    for row, _ in done:
        print(f'| {" | ".join(row.get(column, "-") for column in columns)} |')
    return 0 if all(passed for _, passed in done) else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
