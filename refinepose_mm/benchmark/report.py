"""Timings as Markdown tables and as a picture."""

from __future__ import annotations

import statistics
from pathlib import Path

from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure


def table(result: dict) -> str:
    """One result as a Markdown table; the first row is what the ratios refer to.

    The share of the machine's higher rate stands only where the work is that of the FLOPs counter.
    """
    optional = {'of the rate': 'share' in result, 'peak MiB': 'peak_mib' in result}
    names = ['', 'ms per person', 'persons/s', 'spread', 'ratio',
             *[name for name, wanted in optional.items() if wanted]]
    lines = ['| ' + ' | '.join(names) + ' |', '|---' * len(names) + '|']
    reference = statistics.median(next(iter(result['seconds'].values())))
    for name, times in result['seconds'].items():
        median = statistics.median(times)
        low, _, high = statistics.quantiles(times, n=4) if len(times) > 1 else [median] * 3
        cells = [name, f'{median / result["batch"] * 1e3:.4g}', f'{result["batch"] / median:.3g}',
                 f'{(high - low) / median:.0%}', f'{median / reference:.2f}']
        if 'share' in result:
            share = result['share'].get(name)
            cells.append('-' if share is None else f'{share:.0%}')
        if 'peak_mib' in result:
            peak = result['peak_mib'].get(name)
            cells.append('-' if peak is None else f'{peak:.0f}')
        lines.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def rates(of_product: dict[str, float]) -> str:
    """The machine's rates in words."""
    return (f'matrix products at {of_product["matmul"] / 1e9:.0f} GMAC/s, '
            f'1x1 convolutions at {of_product["convolution"] / 1e9:.0f}')


def require_picture(path: Path) -> None:
    """Check that a figure can be saved under this name.

    Raises:
        ValueError: If its ending is of no kind of picture.
    """
    known = FigureCanvasBase.get_supported_filetypes()
    if path.suffix.lstrip('.').lower() not in known:
        raise ValueError(f'a picture must end in one of .{", .".join(known)}; got {path}')


def draw(results: list[dict]) -> Figure:
    """How time and, where measured, memory grow with the batch: a line for each model and size.

    Each task has a panel of its own for each quantity.
    """
    panels: dict[tuple[str, str], dict[str, list[tuple[int, float]]]] = {}
    sizes = {tuple(result['img_size']) for result in results}
    for result in results:
        suffix = f', {result["img_size"][0]}x{result["img_size"][1]}' if len(sizes) > 1 else ''
        task = f'{result["task"]}, {result["dtype"]}'
        for name, times in result['seconds'].items():
            curves = panels.setdefault((task, 'seconds'), {})
            curves.setdefault(name + suffix, []).append((
                result['batch'], statistics.median(times)))
        for name, peak in result.get('peak_mib', {}).items():
            curves = panels.setdefault((task, 'peak MiB'), {})
            curves.setdefault(name + suffix, []).append((result['batch'], peak))
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(6.5 * columns, 4.2 * rows), layout='constrained')
    axes = figure.subplots(rows, columns, squeeze=False)
    for unused in axes.flat[len(panels):]:
        unused.axis('off')
    for panel, ((task, what), curves) in zip(axes.flat, panels.items()):
        for name, points in curves.items():
            panel.plot(*zip(*sorted(points)), marker='o', markersize=3, label=name)
        panel.set(xlabel='persons per call', ylabel=what, title=task, xlim=(0, None),
                  ylim=(0, None))
        panel.grid(alpha=.3)
        panel.legend(fontsize=6)
    return figure
