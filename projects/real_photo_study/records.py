"""Records of finished runs: one line of JSON each, in results/SCALE/records.jsonl."""

from __future__ import annotations

import json
import os
import statistics
from pathlib import Path

from rows import canonical

RECORDS = 'records.jsonl'
HEADLINE = 'bbox@0.1/PCK'
METRICS = {'bbox@0.05/PCK': 'PCK@0.05', HEADLINE: 'PCK@0.1', 'bbox@0.2/PCK': 'PCK@0.2',
           'coco/AP': 'OKS AP'}
Rows = dict[str, list[dict]]  # the records of each row


def read(path: Path) -> list[dict]:
    """The last record of each row and seed, in the order of rows and seeds.

    Rows have their present names, also where a record has an older one.
    An unfinished last line is left out: its writer is still at work, or was killed.

    Args:
        path: The file; one that does not exist has no records.

    Raises:
        ValueError: If a finished line is not a record; names file and line.
    """
    found = {}
    lines = path.read_bytes().split(b'\n')[:-1] if path.is_file() else []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            record['row'] = canonical(record['row'])
            found[record['row'], record['seed']] = record
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f'{path}, line {number}: expected a record of a run with row and '
                             f'seed, got {line[:40]!r}') from error
    return [found[key] for key in sorted(found)]


def scores(record: dict, metric: str = HEADLINE) -> dict[int, float]:
    """A metric in per cent after each evaluated epoch."""
    return {int(epoch): 100 * values[metric] for epoch, values in record['metrics'].items()}


def final(records: list[dict], metric: str = HEADLINE) -> list[float]:
    """A metric in per cent after the last epoch of each run."""
    return [list(scores(record, metric).values())[-1] for record in records]


def summary(values: list[float]) -> str:
    """The mean and, of several values, the standard deviation."""
    spread = f' ± {statistics.stdev(values):.1f}' if len(values) > 1 else ''
    return f'{statistics.mean(values):.1f}{spread}'


def append(path: Path, record: dict) -> None:
    """Add a record as the last line.

    Several threads and processes may do so at once: each waits for the lock on the file. What a
    killed writer left without an end of line is removed first; its run is not recorded and is
    found missing by the next start.

    Args:
        path: The file; it is created in an existing folder.
        record: At least row and seed.
    """
    import fcntl  # Unix only; reading works everywhere
    line = json.dumps(record, separators=(',', ':')).encode() + b'\n'
    with path.open('a+b') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        content = file.read()
        file.truncate(content.rfind(b'\n') + 1)
        file.write(line)  # at the end, wherever that is: mode a
        file.flush()
        os.fsync(file.fileno())
