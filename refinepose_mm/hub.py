"""``hf://owner/name[@revision][/file]``: files of a hub of Hugging Face, through its own cache."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

SCHEME = 'hf://'
ADDRESS = re.compile(r'hf://([\w.-]+/[\w.-]+)(?:@([^/]+))?(?:/(.+))?')
INDEX = '.index.json'


def hub_path(source: str, wanted: Sequence[str]) -> Path:
    """Where a repository's files lie, downloaded once by huggingface_hub.

    huggingface_hub has the say in servers, cache, tokens and offline use, by its environment
    variables: ``HF_ENDPOINT``, ``HF_HOME``, ``HF_TOKEN``, ``HF_HUB_OFFLINE``.

    Args:
        source: ``hf://owner/name``, with a revision (branch, tag or commit) behind @ and one file
            of the repository behind a slash, if need be.
        wanted: Names of checkpoints, the preferred ones first. The first one that the repository
            has is downloaded: the files that it names, if it is an index, and ``config.json``.

    Returns:
        The folder with these files, or the one file that the source names.

    Raises:
        ImportError: If huggingface_hub is not installed.
        OSError: If the repository, its revision or its files cannot be had.
        ValueError: If the source is no such address.
    """
    address = ADDRESS.fullmatch(source)
    if not address:
        raise ValueError(f'{source}: expected hf://owner/name, hf://owner/name@revision or '
                         'hf://owner/name/file')
    repository, revision, file = address.groups()
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, GatedRepoError
    except ImportError:
        raise ImportError(f'{source} needs huggingface_hub: pip install huggingface_hub') from None

    def download(name: str) -> Path:
        return Path(hf_hub_download(repository, name, revision=revision))

    try:
        if file:
            return download(file)
        for name in ('config.json', *wanted):
            try:
                found = download(name)
            except EntryNotFoundError:
                continue
            if name.endswith(INDEX):
                for part in sorted(set(re.findall(r'[\w.-]+\.(?:safetensors|bin)\b',
                                                  found.read_text(encoding='utf-8')))):
                    download(part)
            if name in wanted:
                return found.parent
    except GatedRepoError:
        raise OSError(f'{source}: its owner wants you to agree to a licence first: do so on the '
                      "repository's page, then `hf auth login`") from None
    except (OSError, ValueError, EntryNotFoundError) as error:  # of many lines
        lines = [line for line in str(error).splitlines() if line.strip()]
        kind = ValueError if isinstance(error, ValueError) else OSError
        raise kind(f'cannot get {source}: {lines[0] if lines else type(error).__name__}') from None
    raise FileNotFoundError(f'{source} holds no checkpoint by the name of {", ".join(wanted)}; '
                            'name its file: hf://owner/name/file')
