"""Records of finished runs: one line of JSON each, in results/records.jsonl."""

from __future__ import annotations

import json
from pathlib import Path

from ways import Run

RECORDS = Path(__file__).parent / 'results/records.jsonl'


def key(record: dict) -> Run:
    """Which run a record is of."""
    return Run(*(record[field] for field in Run._fields))


def read(path: Path = RECORDS) -> list[dict]:
    """All records; a file that does not exist has none."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def append(path: Path, record: dict) -> None:
    """Add a record as the last line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('a') as file:
        file.write(json.dumps(record, separators=(',', ':')) + '\n')
