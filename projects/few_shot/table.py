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
STEPS_MARK = '<!-- table of steps, written by projects/few_shot/table.py -->\n'
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


def other_steps(records: Sequence[dict]) -> str:
    """A line for each way, number of persons and number of steps, where several were tried."""
    runs: dict[tuple[int, str], dict[int, list[dict]]] = {}
    for record in records:
        steps = runs.setdefault((record['persons'], record['way']), {})
        steps.setdefault(record['steps'], []).append(record)
    lines = ['| persons | | steps: PCK@0.1 |', '|---|---|---|']
    lines += [f'| {persons} | `{way}` | '
              + '; '.join(f'{steps}: {cell(some)}' for steps, some in sorted(tried.items())) + ' |'
              for (persons, way), tried in sorted(runs.items()) if len(tried) > 1]
    return '\n'.join(lines) + '\n'


def publish(text: str, page: Path, mark: str) -> None:
    """Put a table between its marks in a page."""
    before, _, after = page.read_text().split(mark)
    page.write_text(mark.join([before, text, after]))


def main() -> None:
    records = read()
    for page in PAGES:
        publish(to_markdown(records), page, MARK)
    publish(other_steps(records), PAGES[0], STEPS_MARK)
    print(f'{to_markdown(records)}\n{other_steps(records)}')


if __name__ == '__main__':
    main()
