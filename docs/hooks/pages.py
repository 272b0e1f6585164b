"""What the site shows besides docs/: pages from other files, sources that they link, the API.

Links are written for the repository, where everyone can follow them. Here they are turned to the
pages that the files become. A link to a file that does not exist stays as it is, and the strict
build fails.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
PACKAGE = 'refinepose_mm'
LINK = re.compile(r'\]\(([^()\s#:]+)(#[^()\s]*)?\)')
IMAGES = ('.png', '.jpg', '.svg')
NO_API = ('__main__', 'version', 'bundled/demo')  # nothing in them is for callers


def _sources() -> dict[str, str]:
    """Pages by the file that they are made from; both relative to their roots."""
    pages = {
        'README.md': 'index.md', 'CONTRIBUTING.md': 'contributing.md',
        'CHANGELOG.md': 'changelog.md', 'configs/README.md': 'configs.md',
        'projects/README.md': 'projects/index.md'}
    for readme in sorted(ROOT.glob('projects/*/README.md')):
        pages[f'projects/{readme.parent.name}/README.md'] = f'projects/{readme.parent.name}.md'
    for page in sorted(ROOT.glob('docs/*.md')):
        pages[f'docs/{page.name}'] = page.name
    return pages


PAGES = _sources()
ORIGINS = {page: source for source, page in PAGES.items()}


def _api() -> dict[str, list[str]]:
    """Public modules by their package, as dotted names; packages come first."""
    groups: dict[str, list[str]] = {}
    for path in sorted((ROOT / PACKAGE).rglob('*.py')):
        parts = path.relative_to(ROOT).with_suffix('').parts
        inside = '/'.join(parts[1:])
        if any(part.startswith('_') and part != '__init__' for part in parts) or (
                inside in NO_API):
            continue
        names = parts[:-1] if parts[-1] == '__init__' else parts
        group = '.'.join(parts[:-1])
        groups.setdefault(group, [])
        groups[group].insert(0 if parts[-1] == '__init__' else len(groups[group]),
                             '.'.join(names))
    return groups


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the API pages to the navigation."""
    api = []
    for group, modules in _api().items():
        entries = [{'overview' if module == group else module.rsplit('.', 1)[-1]:
                    f'api/{module}.md'} for module in modules]
        api += entries if group == PACKAGE else [{group.removeprefix(f'{PACKAGE}.'): entries}]
    config.nav.append({'API': api})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add pages that are made from other files, the API pages, and what pages link to."""
    for source, page in PAGES.items():
        if not source.startswith('docs/'):
            files.append(File.generated(config, page, content=(ROOT / source).read_text()))
    for modules in _api().values():
        for module in modules:
            files.append(File.generated(config, f'api/{module}.md', content=f'::: {module}\n'))
    for source in PAGES:
        for match in LINK.finditer((ROOT / source).read_text()):
            target = _target(source, match.group(1))
            page = _page_of(target) if target else None
            if page is None or files.get_file_from_path(page):
                continue
            if target.endswith(IMAGES):
                files.append(File.generated(config, page, abs_src_path=str(ROOT / target)))
            else:
                files.append(File.generated(config, page, content=_listing(target)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Turn links between files of the repository to links between pages."""
    origin = ORIGINS.get(page.file.src_uri)
    if origin is None:
        return markdown

    def turn(match: re.Match) -> str:
        target = _target(origin, match.group(1))
        if target is None:
            return match.group(0)
        link = posixpath.relpath(_page_of(target), posixpath.dirname(page.file.src_uri) or '.')
        return f']({link}{match.group(2) or ""})'

    return LINK.sub(turn, markdown)


def _target(source: str, link: str) -> str | None:
    """The file or folder that a link in a source leads to; a folder's README stands for it."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    readme = posixpath.join(path, 'README.md')
    if (ROOT / readme).is_file():
        return readme
    return path if not path.startswith('..') and (ROOT / path).exists() else None


def _page_of(target: str) -> str:
    if target in PAGES:
        return PAGES[target]
    if target.startswith('docs/'):
        return target.removeprefix('docs/')
    if target.startswith(f'{PACKAGE}/') and target.endswith('.py'):
        module = target.removesuffix('.py').removesuffix('/__init__').replace('/', '.')
        return f'api/{module}.md'
    return f'source/{target}' if target.endswith(IMAGES) else f'source/{target}.md'


def _listing(target: str) -> str:
    """A file, or the names in a folder, as a page."""
    if (ROOT / target).is_dir():
        names = sorted(path.name for path in (ROOT / target).iterdir())
        return f'# {target}\n\n' + ''.join(f'- `{name}`\n' for name in names)
    language = {'.py': 'python', '.yml': 'yaml', '.json': 'json'}.get(Path(target).suffix, 'text')
    return f'# {target}\n\n````{language}\n{(ROOT / target).read_text()}\n````\n'
