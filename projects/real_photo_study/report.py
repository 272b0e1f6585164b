"""Tables (csv, Markdown) and pictures of the study, from its records alone.

    python projects/real_photo_study/report.py
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import sys
from pathlib import Path

import curves
from mmengine.logging import MMLogger
from records import METRICS, RECORDS, Rows, final, read, scores, summary
from rows import canonical

HERE = Path(__file__).resolve().parent
RESULTS = HERE / 'results'
MARK = '<!-- table of {name}, written by report.py -->\n'
BY_EPOCH = '{scale} by epoch'  # name of a scale's second table
EPOCHS = {'before': 0, 'epoch 1': 1, 'epoch 3': 3, 'epoch 12': 12}
TIMING = 'timing.json'  # written by timing.py
JUMP = .026  # of the first logged loss: noise stays below .022, jumps are above .031


def read_rows(folder: Path) -> Rows:
    """The records of a scale by row, best row first."""
    rows: Rows = {}
    for record in read(folder / RECORDS):
        rows.setdefault(record['row'], []).append(record)
    return dict(sorted(rows.items(), reverse=True,
                       key=lambda row: statistics.mean(final(row[1]))))


def read_timing(folder: Path) -> dict[str, float]:
    """Milliseconds per image of a training step, by row; empty where they were not measured."""
    path = folder / TIMING
    times = json.loads(path.read_text())['ms_per_image'] if path.is_file() else {}
    return {canonical(row): ms for row, ms in times.items()}


def jumped(record: dict) -> bool:
    """Whether the loss rose from one logged mean to the next by more than noise does."""
    losses = [loss for _, loss in record['losses']]
    return any(later - earlier > JUMP * losses[0] for earlier, later in zip(losses, losses[1:]))


def table(rows: Rows, ms_per_image: dict[str, float]) -> list[dict[str, str]]:
    """A line for each row: means over seeds, with the standard deviation between seeds.

    ``jumps`` counts the seeds whose loss jumped.
    """
    lines = []
    for row, records in rows.items():
        line = dict(row=row, seeds=str(len(records)), jumps=str(sum(map(jumped, records)) or '-'))
        for metric, name in METRICS.items():
            line[name] = summary(final(records, metric))
        line['params (M)'] = f'{records[0]["params"] / 1e6:.2f}'
        line['MMACs'] = f'{records[0]["macs"] / 1e6:.0f}'
        if ms_per_image:
            line['ms/image'] = f'{ms_per_image[row]:.1f}' if row in ms_per_image else '-'
        lines.append(line)
    return lines


def by_epoch(rows: Rows) -> list[dict[str, str]]:
    """PCK@0.1 of what was scored after its first epoch, which is what starts from trained weights.

    ``before`` is the start itself, before the first step.
    """
    lines = []
    for row, records in rows.items():
        curves = [scores(record) for record in records]
        if all(1 in curve for curve in curves):
            lines.append(dict(row=row, seeds=str(len(records)), **{
                name: summary([curve[epoch] for curve in curves])
                if all(epoch in curve for curve in curves) else '-'
                for name, epoch in EPOCHS.items()}))
    return lines


def to_markdown(lines: list[dict[str, str]]) -> str:
    names = list(lines[0])
    return '\n'.join(['| ' + ' | '.join(names) + ' |', '|---' * len(names) + '|'] + [
        '| ' + ' | '.join(line[name] for name in names) + ' |' for line in lines]) + '\n'


def publish(table: str, name: str) -> None:
    """Put the table between its marks in the study's README, if it has them."""
    readme, mark = HERE / 'README.md', MARK.format(name=name)
    parts = readme.read_text().split(mark)
    if len(parts) == 3:
        readme.write_text(mark.join([parts[0], table, parts[2]]))


def write(results: Path) -> None:
    """Write each scale's table.csv and all pictures beside the records, and print the tables.

    The study's own results also go into its README.

    Args:
        results: The folder with a folder of records for each scale.

    Raises:
        FileNotFoundError: If there are no records.
    """
    scales = {folder.name: rows for folder in sorted(results.iterdir())
              if (rows := read_rows(folder))} if results.is_dir() else {}
    if not scales:
        raise FileNotFoundError(f'no records in {results}/*/{RECORDS}')
    for scale, rows in scales.items():
        lines = table(rows, read_timing(results / scale))
        with (results / scale / 'table.csv').open('w', newline='') as file:
            writer = csv.DictWriter(file, fieldnames=list(lines[0]))
            writer.writeheader()
            writer.writerows(lines)
        if results.resolve() == RESULTS:
            publish(to_markdown(lines), scale)
            if progress := by_epoch(rows):
                publish(to_markdown(progress), BY_EPOCH.format(scale=scale))
        print(f'{scale}\n\n{to_markdown(lines)}')
    curves.write_all(scales, results)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--results', type=Path, default=RESULTS,
                        help='folder with SCALE/records.jsonl')
    args = parser.parse_args()
    MMLogger.get_current_instance().setLevel('WARNING')  # no line for each variable of a config
    try:
        write(args.results)
    except (OSError, ValueError) as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
