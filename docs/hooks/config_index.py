"""The index of all configs, by the data that they are tested on, from the metafiles.

`python docs/hooks/config_index.py` writes it into configs/README.md, between the marks; so does
`make docs`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
README = ROOT / 'configs/README.md'
BEGIN, END = '<!-- index, made of the metafiles -->', '<!-- end of the index -->'
HEADER = '''
| tested on | config | learns from | parameters | the paper's |
|---|---|---|---|---|'''


def models() -> list[dict]:
    """Every entry of the metafiles, in their order."""
    files = yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']
    return [model for file in files
            for model in yaml.safe_load((ROOT / file).read_text())['Models']]


def table() -> str:
    """The index as Markdown, a row for each config; sets in the order of their first config."""
    groups: dict[str, list[dict]] = {}
    for model in models():
        groups.setdefault(model['Metadata']['Test Data'], []).append(model)
    rows = [HEADER]
    for tested, group in groups.items():
        for number, model in enumerate(group):
            about = model['Metadata']
            learned = about['Training Data']
            link = os.path.relpath(ROOT / model['Config'], README.parent)
            rows.append('| {} | [{}]({}) | {} | {:.1f} M | {} |'.format(
                f'**{tested}**' if number == 0 else '', Path(link).stem, link,
                learned if isinstance(learned, str) else ', '.join(learned),
                about['Parameters'] / 1e6, about.get('Paper', '')))
    return '\n'.join(rows) + '\n'


def with_index(text: str) -> str:
    """A README with the index between its marks.

    Raises:
        ValueError: If it has no marks.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f'{README} needs the marks {BEGIN} and {END}')
    return f'{before}{begin}\n{table()}\n{end}{after}'


def main() -> int:
    """Write the index."""
    README.write_text(with_index(README.read_text()))
    return 0


if __name__ == '__main__':
    sys.exit(main())
