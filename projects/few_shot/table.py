"""Write the tables of README.md and docs/own_data.md from the records alone.

    python projects/few_shot/table.py
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from ways import SIZES, WAYS, read

HEADLINE = 'bbox@0.1/PCK'
HERE = Path(__file__).resolve().parent
MARK = '<!-- table of the records, written by projects/few_shot/table.py -->\n'
PAGES = (HERE / 'README.md', HERE.parents[1] / 'docs/own_data.md')


def score(record: dict) -> float:
    """PCK@0.1 after the last epoch, in per cent."""
    return 100 * list(record['metrics'].values())[-1][HEADLINE]


def cell(records: Sequence[dict]) -> str:
    """Mean and, of several seeds, the standard deviation between them."""
    scores = [score(record) for record in records]
    if not scores:
        return '-'
    spread = f' ± {statistics.stdev(scores):.1f}' if len(scores) > 1 else ''
    return f'{statistics.mean(scores):.1f}{spread}'


def to_markdown(records: Sequence[dict]) -> str:
    """A line for each way and a column for each number of persons, at its own steps."""
    lines = [f'| | {" | ".join(f"{persons} persons" for persons in SIZES)} |',
             '|---' * (1 + len(SIZES)) + '|',
             f'| steps | {" | ".join(f"{steps}" for steps in SIZES.values())} |']
    for way in WAYS:
        cells = [cell([record for record in records if record['way'] == way
                       and record['persons'] == persons and record['steps'] == steps])
                 for persons, steps in SIZES.items()]
        if set(cells) != {'-'}:
            lines.append(f'| `{way}` | {" | ".join(cells)} |')
    return '\n'.join(lines) + '\n'


def publish(text: str, page: Path) -> None:
    """Put the table between its marks in a page."""
    before, _, rest = page.read_text().partition(MARK)
    _, end, after = rest.partition(MARK)
    assert end, f'{page} has no marks'
    page.write_text(before + MARK + text + MARK + after)


def main() -> None:
    text = to_markdown(read())
    for page in PAGES:
        publish(text, page)
    print(text)


if __name__ == '__main__':
    main()
