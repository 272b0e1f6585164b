"""Table (csv, Markdown) and learning curves of the study, from its records alone.

    python projects/real_photo_study/report.py results/cpu
"""

from __future__ import annotations

import csv
import json
import statistics
import sys
from pathlib import Path

from records import RECORDS, read
from rows import canonical

HERE = Path(__file__).resolve().parent
MARK = '<!-- table of {scale}, written by report.py -->\n'
TIMING = 'timing.json'  # written by timing.py
HEADLINE = 'bbox@0.1/PCK'
METRICS = {'bbox@0.05/PCK': 'PCK@0.05', 'bbox@0.1/PCK': 'PCK@0.1', 'bbox@0.2/PCK': 'PCK@0.2',
           'coco/AP': 'OKS AP'}
JUMP = .026  # of the first logged loss: noise stays below .022, jumps are above .031


def read_rows(results: Path) -> dict[str, list[dict]]:
    """The records in a folder by row, best row first."""
    rows: dict[str, list[dict]] = {}
    for record in read(results / RECORDS):
        rows.setdefault(record['row'], []).append(record)
    return dict(sorted(rows.items(), reverse=True,
                       key=lambda row: statistics.mean(final(row[1], HEADLINE))))


def read_timing(results: Path) -> dict[str, float]:
    """Milliseconds per image of a training step, by row; empty where they were not measured."""
    path = results / TIMING
    times = json.loads(path.read_text())['ms_per_image'] if path.is_file() else {}
    return {canonical(row): ms for row, ms in times.items()}


def final(records: list[dict], metric: str) -> list[float]:
    """A metric after the last epoch of each run, in per cent."""
    return [100 * list(record['metrics'].values())[-1][metric] for record in records]


def jumped(record: dict) -> bool:
    """Whether the loss rose from one logged mean to the next by more than noise does."""
    losses = [loss for _, loss in record['losses']]
    return any(later - earlier > JUMP * losses[0] for earlier, later in zip(losses, losses[1:]))


def table(rows: dict[str, list[dict]], ms_per_image: dict[str, float]) -> list[dict[str, str]]:
    """A line for each row: means over seeds, with the standard deviation between seeds.

    ``jumps`` counts the seeds whose loss jumped.
    """
    lines = []
    for row, records in rows.items():
        line = dict(row=row, seeds=str(len(records)), jumps=str(sum(map(jumped, records)) or '-'))
        for metric, name in METRICS.items():
            values = final(records, metric)
            line[name] = f'{statistics.mean(values):.1f}' + (
                f' ± {statistics.stdev(values):.1f}' if len(values) > 1 else '')
        line['params (M)'] = f'{records[0]["params"] / 1e6:.2f}'
        line['MMACs'] = f'{records[0]["macs"] / 1e6:.0f}'
        if ms_per_image:
            line['ms/image'] = f'{ms_per_image[row]:.1f}' if row in ms_per_image else '-'
        lines.append(line)
    return lines


def to_markdown(lines: list[dict[str, str]]) -> str:
    names = list(lines[0])
    return '\n'.join(['| ' + ' | '.join(names) + ' |', '|---' * len(names) + '|'] + [
        '| ' + ' | '.join(line[name] for name in names) + ' |' for line in lines]) + '\n'


def plot(rows: dict[str, list[dict]], path: Path) -> None:
    """Mean of the headline metric after each evaluated epoch, with the range of the seeds."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot as plt
    # High enough for the legend.
    figure, axes = plt.subplots(figsize=(10, max(5, .2 * len(rows))), layout='constrained')
    for number, (row, records) in enumerate(rows.items()):
        epochs = [int(epoch) for epoch in records[0]['metrics']]
        curves = [[100 * values[HEADLINE] for values in record['metrics'].values()]
                  for record in records]
        style = ('-', '--', ':', '-.')[number // 10 % 4]
        line, = axes.plot(epochs, [statistics.mean(v) for v in zip(*curves)], style, label=row)
        axes.fill_between(epochs, [min(v) for v in zip(*curves)], [max(v) for v in zip(*curves)],
                          alpha=.12, color=line.get_color())
    axes.set(xlabel='epoch', ylabel=f'{METRICS[HEADLINE]} on LSPET val (%)')
    axes.grid(alpha=.3)
    axes.legend(fontsize=7, loc='center left', bbox_to_anchor=(1, .5))  # beside the curves
    figure.savefig(path, dpi=120)
    plt.close(figure)


def publish(table: str, scale: str) -> None:
    """Put the table between its marks in the study's README."""
    readme, mark = HERE / 'README.md', MARK.format(scale=scale)
    before, _, after = readme.read_text().split(mark)
    readme.write_text(before + mark + table + mark + after)


def write(results: Path) -> None:
    """Write table.csv and curves.png beside the records, the table into the README, and print it.

    The README is only touched for the study's own results.
    """
    rows = read_rows(results)
    if not rows:
        sys.exit(f'error: no records in {results / RECORDS}')
    lines = table(rows, read_timing(results))
    with (results / 'table.csv').open('w', newline='') as file:
        writer = csv.DictWriter(file, fieldnames=list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)
    table_text = to_markdown(lines)
    if results.resolve().parent == HERE / 'results':
        publish(table_text, results.name)
    plot(rows, results / 'curves.png')
    print(table_text)


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(Path(sys.argv[1]))
