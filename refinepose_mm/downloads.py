"""Files by URL: downloaded once, complete and checked, or not at all."""

from __future__ import annotations

import hashlib
import re
import sys
from http.client import HTTPException, IncompleteRead
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import torch
from filelock import FileLock
from mmengine.logging import print_log

from .files import remove_leftovers, replacing

TIMEOUT = 30  # seconds without an answer
CHUNK = 1 << 20  # bytes
LONGEST = 100  # characters of a file's name that its cached name keeps; systems take 255 in all
# torch.hub's and OpenMMLab's names end in the first digits of the file's SHA-256, OpenMMLab's also
# in a date. Digits that are a date themselves are no hash.
HASH_IN_NAME = re.compile(r'-(?!(?:19|20)\d{6}[._])([0-9a-f]{8,64})(?:_\d{8})?\.\w+$')
LOOPBACK = ('localhost', '127.0.0.1', '::1')  # nobody is in between
HINT = ('Put the file elsewhere and name it with --cfg-options '
        'model.backbone.init_cfg.checkpoint=PATH, or train from scratch with '
        '--cfg-options model.backbone.init_cfg=None')


class Source(NamedTuple):
    """A URL and what is known of its file.

    Attributes:
        url: Without the fragment.
        name: Last part of the path.
        sha256: First digits of the file's SHA-256, or all 64; '' if unknown.
    """

    url: str
    name: str
    sha256: str

    @property
    def is_pinned(self) -> bool:
        """Whether the hash says who wrote the file; a few digits say only that it is whole."""
        return len(self.sha256) == 64


def local_file(source: str | Path) -> Path:
    """The path of a file or folder; a URL is downloaded once into the cache of torch.hub.

    A download gets its final name when it is complete. Its SHA-256 is checked where it is known:
    from the end of the name (``-<8 digits>.pth``, ``-<8 digits>_<date>.pth``) or from a fragment
    ``#sha256=<64 digits>`` of the URL. The cached name contains a hash of the URL, so that files
    of one name from two places stay two files. Processes that want the same file wait for the
    one that downloads it; if that one fails, the next one tries.

    Args:
        source: A path, or a URL with https. http needs the fragment, but on this machine.

    Raises:
        FileNotFoundError: If the path does not exist.
        OSError: If the download fails, is cut or does not have the expected hash.
        ValueError: If the URL is broken, names no file or is not safe.
    """
    if source == '':  # a path of it would be the current folder
        raise FileNotFoundError('a checkpoint without a name not found')
    scheme, separator, _ = str(source).partition('://')
    if not separator:
        path = Path(source)
        if not path.exists():
            raise FileNotFoundError(f'checkpoint {path} not found')
        return path
    if scheme.lower() not in ('http', 'https'):
        raise ValueError(f'{source}: expected a path or a URL with https, got {scheme}')
    known = _parse(source)
    digest = hashlib.sha256(source.encode()).hexdigest()[:16]
    path = Path(torch.hub.get_dir()) / 'checkpoints' / f'{digest}-{known.name[-LONGEST:]}'
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_name(f'.{path.name}.lock')):
                if not path.is_file():  # another process may have been faster
                    remove_leftovers(path)  # nobody else writes it: the lock is ours
                    print_log(f'downloading {source} to {path}', logger='current')
                    _download(known, path)
        except HTTPError as error:
            reason = ' '.join(str(error.reason).split())  # of a redirect loop it has three lines
            raise OSError(f'cannot download {source}: the server answers {error.code} '
                          f'{reason}. {HINT}') from None
        except IncompleteRead:  # its numbers are those of the last piece
            raise OSError(f'cannot download {source}: the connection was cut before the end of the '
                          f'file. {HINT}') from None
        except (OSError, HTTPException, ValueError) as error:
            reason = str(getattr(error, 'reason', None) or error) or type(error).__name__
            line = ' '.join(reason.split())  # a broken answer may hold line breaks
            raise OSError(f'cannot download {source}: {line}. {HINT}') from None
    return path


def _parse(source: str) -> Source:
    """Read a URL.

    Raises:
        ValueError: If it is broken, names no file, has an unknown fragment or is not safe.
    """
    try:
        parts = urlsplit(source)
        host, name = parts.hostname, Path(parts.path).name
        parts.port  # noqa: B018, raises for what is no number
    except ValueError as error:
        raise ValueError(f'{source} is no valid URL: {error}') from None
    if not host or not name:
        raise ValueError(f'{source} names no file of a server')
    if '@' in parts.netloc:  # urllib takes them for a part of the host; logs would keep them
        raise ValueError(f'a URL of {host} has a user name or password; download the file yourself '
                         'and give its path')
    sha256 = re.fullmatch(r'sha256=([0-9a-f]{64})', parts.fragment.lower())
    if parts.fragment and not sha256:
        raise ValueError(f'{source}: expected a fragment #sha256=<64 digits>, '
                         f'got #{parts.fragment}')
    in_name = HASH_IN_NAME.search(name)
    known = sha256.group(1) if sha256 else in_name.group(1) if in_name else ''
    found = Source(source.partition('#')[0], name, known)
    if not _is_safe(found.url, found):
        raise ValueError(f'{source}: whoever is in between can replace what http sends; '
                         f'use https, or append #sha256=<64 digits> of the file')
    return found


def _is_safe(url: str, known: Source) -> bool:
    """Whether nobody between the server and us can exchange the file without being noticed."""
    parts = urlsplit(url)
    return parts.scheme == 'https' or (
        parts.scheme == 'http' and (known.is_pinned or parts.hostname in LOOPBACK))


class _SafeRedirects(HTTPRedirectHandler):
    """Follow redirects, but not from a safe address to an unsafe one."""

    def __init__(self, known: Source):
        self.known = known

    def redirect_request(self, request, file, code, message, headers, url):
        if not _is_safe(url, self.known):
            raise URLError(f'it redirects to {url}, which is not safe')
        return super().redirect_request(request, file, code, message, headers, url)


def _download(known: Source, path: Path) -> None:
    """Write the file if it is complete and has the expected hash.

    Raises:
        OSError, HTTPException, ValueError: In urllib's many ways, if not.
    """
    opener = build_opener(_SafeRedirects(known))
    request = Request(known.url, headers={'User-Agent': 'refinepose_mm'})
    with opener.open(request, timeout=TIMEOUT) as answer:
        expected = answer.length  # None where the server does not say
        if answer.status != 200:  # 206, a part of the file, is no error to urllib
            raise OSError(f'the server answers {answer.status} {answer.reason}, expected 200 OK')
        if answer.headers.get_content_type() == 'text/html':
            raise OSError('the server sends a web page, not a file')
        if expected is None and not answer.chunked and not known.sha256:
            raise OSError('the server does not say how long the file is; append '
                          '#sha256=<64 digits> to the URL')
        hasher = hashlib.sha256()
        received = 0
        with replacing(path) as beside:
            with open(beside, 'wb') as file, torch.hub.tqdm(
                    total=expected, unit='B', unit_scale=True,
                    disable=not sys.stderr.isatty()) as progress:
                while chunk := answer.read(CHUNK):
                    file.write(chunk)
                    hasher.update(chunk)
                    received += len(chunk)
                    progress.update(len(chunk))
            if not received:
                raise OSError('the server sends an empty file')
            if expected is not None and received != expected:
                raise OSError(f'the connection was cut: expected {expected} bytes, got {received}')
            if not hasher.hexdigest().startswith(known.sha256):
                raise OSError(f'expected SHA-256 {known.sha256}, got '
                              f'{hasher.hexdigest()[:max(8, len(known.sha256))]}')
