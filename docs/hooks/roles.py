"""Docstrings as the site needs them: Sphinx's roles become links, its tables Markdown's."""

from __future__ import annotations

import re
from typing import Any

import griffe

PACKAGE = 'refinepose_mm'
ROLE = re.compile(r':(?:class|func|meth|mod|data|attr|obj):`(~?)([\w.]+)`')
# Three borders of '=', with a head and a body between them.
TABLE = re.compile(r'^=[= ]+\n(?:.*\n)+?=[= ]+\n(?:.*\n)+?=[= ]+$', re.MULTILINE)


class Roles(griffe.Extension):
    """Turns ``:class:`Name` `` into a link; a name of this package that is unknown fails."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Change all docstrings, once every name is known."""
        self._visit(pkg)

    def _visit(self, obj: griffe.Object) -> None:
        if obj.docstring:
            text = TABLE.sub(_table, obj.docstring.value)
            obj.docstring.value = ROLE.sub(lambda match: _link(obj, match), text)
        for member in obj.members.values():
            if not member.is_alias:
                self._visit(member)


def _table(match: re.Match) -> str:
    """Markdown's form of a table whose columns are as wide as the borders say."""
    border, *lines = match.group(0).splitlines()
    starts = [column.start() for column in re.finditer('=+', border)]
    rows: list[list[str]] = []
    for line in lines:
        cells = [line[start:end].strip() for start, end in zip(starts, [*starts[1:], None])]
        if line == border:
            continue
        if cells[0]:
            rows.append(cells)
        else:  # the row before goes on
            rows[-1] = [f'{a} {b}'.strip() for a, b in zip(rows[-1], cells)]
    rows.insert(1, ['---'] * len(starts))
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def _link(obj: griffe.Object, match: re.Match) -> str:
    short, name = match.groups()
    shown = name.rsplit('.', 1)[-1] if short else name.lstrip('.')
    if name.startswith('.'):  # Sphinx: relative to the package
        module = obj.module
        path = f'{module.path if module.is_init_module else module.parent.path}{name}'
    else:
        first, *rest = name.split('.')
        try:
            path = '.'.join([obj.resolve(first), *rest])
        except griffe.NameResolutionError:
            path = name
    if '.' in path and path.split('.')[0] != PACKAGE:
        return f'`{shown}`'  # other packages have no pages here
    try:
        target = obj.package[path.split('.')[1:]]
        if not target.has_docstring:  # its module's page shows it in the source alone
            path = target.module.path
    except (KeyError, IndexError, ValueError):
        pass  # unknown: the strict build fails
    return f'[`{shown}`][{path}]'
