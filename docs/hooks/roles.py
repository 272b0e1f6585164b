"""Docstrings as the site needs them: Sphinx's roles become links, its tables stay as typed."""

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
            text = TABLE.sub(self._as_typed, obj.docstring.value)
            obj.docstring.value = ROLE.sub(lambda match: _link(obj, match), text)
        for member in obj.members.values():
            if not member.is_alias:
                self._visit(member)

    @staticmethod
    def _as_typed(match: re.Match) -> str:
        return f'```text\n{ROLE.sub(lambda role: role.group(2), match.group(0))}\n```'


def _link(obj: griffe.Object, match: re.Match) -> str:
    short, name = match.groups()
    shown = name.rsplit('.', 1)[-1] if short else name.lstrip('.')
    if name.startswith('.'):  # Sphinx: relative to the module
        path = f'{obj.module.path.rsplit(".", 1)[0]}{name}'
    else:
        try:
            path = obj.resolve(name.split('.')[0]) + name[len(name.split('.')[0]):]
        except griffe.NameResolutionError:
            path = name
    # Other packages have no pages here.
    return f'[`{shown}`][{path}]' if path.split('.')[0] == PACKAGE or '.' not in path else (
        f'`{shown}`')
