"""What a download leaves behind: a complete file, or nothing and one line. Local servers only."""

import hashlib
import multiprocessing
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from refinepose_mm import downloads
from refinepose_mm.downloads import local_file

CONTENT = bytes(range(256)) * 400
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT under every name; `respond` may do something else."""

    daemon_threads = True

    def __init__(self):
        self.requests, self.respond = [], send
        super().__init__(('127.0.0.1', 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, path='encoder.pth'):
        return f'http://127.0.0.1:{self.server_port}/{path}'


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        self.server.requests.append(self.path)
        self.server.respond(self)

    def log_message(self, *args):
        pass


def send(request, content=CONTENT, headers=(), code=200, length=len(CONTENT)):
    request.send_response(code)
    for name, value in dict(headers).items():
        request.send_header(name, value)
    if length is not None:
        request.send_header('Content-Length', str(length))
    request.end_headers()
    request.wfile.write(content)
    request.close_connection = True


def cut(request):
    send(request, CONTENT[:len(CONTENT) // 3])


def cut_chunks(request):
    send(request, b'1000\r\n' + CONTENT[:100], {'Transfer-Encoding': 'chunked'}, length=None)


@pytest.fixture
def server():
    server = Server()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    return tmp_path / 'checkpoints'


def kept(cache):
    """Files of the cache but the empty ones that processes wait at."""
    return [path for path in cache.iterdir() if path.suffix != '.lock']


def test_a_file_is_downloaded_once(server):
    path = local_file(server.url())
    assert path.read_bytes() == CONTENT and path.name.endswith('-encoder.pth')
    assert local_file(server.url()) == path
    assert len(server.requests) == 1


def test_chunks_without_a_length_are_complete_at_their_end(server):
    server.respond = lambda request: send(
        request, b'%x\r\n%s\r\n0\r\n\r\n' % (len(CONTENT), CONTENT),
        {'Transfer-Encoding': 'chunked'}, length=None)
    assert local_file(server.url()).read_bytes() == CONTENT


def test_one_name_at_two_places_is_two_files(server):
    server.respond = lambda request: send(request, request.path[:2].encode(), length=2)
    first, second = (local_file(server.url(f'{owner}/resolve/main/model.safetensors'))
                     for owner in 'ab')
    assert (first.read_bytes(), second.read_bytes()) == (b'/a', b'/b')
    assert local_file(server.url('a/resolve/main/model.safetensors')).read_bytes() == b'/a'


@pytest.mark.parametrize('respond, reason', [
    (cut, r'the connection was cut: expected 102400 bytes, got 34133'),
    (cut_chunks, 'the connection was cut before the end'),
    (lambda request: send(request, code=404), '404 Not Found'),
    (lambda request: send(request, code=500), '500 Internal Server Error'),
    (lambda request: send(request, CONTENT[:99], code=206, length=99),
     'answers 206 Partial Content, expected 200 OK'),
    (lambda request: send(request, b'', length=0), 'an empty file'),
    (lambda request: send(request, b'', {'Location': request.path}, 302, 0), 'infinite loop'),
    (lambda request: send(request, headers={'Content-Type': 'text/html'}), 'a web page'),
    (lambda request: send(request, length=None), 'does not say how long the file is'),
    (lambda request: request.wfile.write(b'nonsense\r\n'), 'nonsense'),
    (lambda request: send(request, b'', {'Location': 'http://example.org/x.pth'}, 302, 0),
     r'redirects to http://example.org/x.pth, which is not safe'),
    (lambda request: send(request, b'', {'Location': 'ftp://127.0.0.1/x.pth'}, 302, 0),
     'not safe|not allowed'),
], ids=['cut', 'cut chunks', '404', '500', 'a part', 'empty', 'loop', 'web page',
        'no length', 'no HTTP', 'redirect', 'ftp'])
def test_what_fails_ends_in_one_line_and_leaves_nothing(server, cache, respond, reason):
    server.respond = respond
    with pytest.raises(OSError, match=reason) as error:
        local_file(server.url())
    assert str(error.value).startswith(f'cannot download {server.url()}: ')
    assert 'model.backbone.init_cfg=None' in str(error.value)
    assert '\n' not in str(error.value)
    assert not kept(cache)
    server.respond = send
    assert local_file(server.url()).read_bytes() == CONTENT


def test_a_silent_server_is_given_up(server, cache, monkeypatch):
    monkeypatch.setattr(downloads, 'TIMEOUT', .2)
    server.respond = lambda request: time.sleep(2)
    with pytest.raises(OSError, match='timed out'):
        local_file(server.url())
    assert not kept(cache)


def test_no_server(cache):
    with pytest.raises(OSError, match=r'cannot download .*: .*refused'):
        local_file('http://127.0.0.1:9/encoder.pth')
    assert not kept(cache)


@pytest.mark.parametrize('name', [
    f'encoder-{SHA256[:8]}.pth', f'encoder-{SHA256[:8]}_20230314.pth',
    f'encoder.safetensors#sha256={SHA256}', f'encoder.pth?version=2#sha256={SHA256.upper()}'])
def test_a_known_hash_is_checked(server, cache, name):
    server.respond = lambda request: send(request, CONTENT[::-1])
    with pytest.raises(OSError, match='expected SHA-256'):
        local_file(server.url(name))
    assert not kept(cache)
    server.respond = send
    assert local_file(server.url(name)).read_bytes() == CONTENT


@pytest.mark.parametrize('name', ['mae_pretrain_vit_base_20230913.pth', 'vit-20230913.pth',
                                  'model-00001-of-00002.safetensors', 'a-b.tar'])
def test_a_date_or_a_number_is_no_hash(server, name):
    assert local_file(server.url(name)).read_bytes() == CONTENT


def test_a_long_name_is_shortened(server):
    path = local_file(server.url('n' * 300 + '.pth'))
    assert path.read_bytes() == CONTENT and path.suffix == '.pth'


def test_no_name_is_not_the_current_folder():
    with pytest.raises(FileNotFoundError, match='a checkpoint without a name not found'):
        local_file('')


def test_a_length_is_not_needed_where_the_hash_is_known(server):
    server.respond = lambda request: send(request, length=None)
    url = server.url(f'encoder.pth#sha256={SHA256}')
    assert local_file(url).read_bytes() == CONTENT
    server.respond = lambda request: send(request, CONTENT[:-1], length=None)
    with pytest.raises(OSError, match='expected SHA-256'):
        local_file(server.url(f'other.pth#sha256={SHA256}'))


def test_redirects_between_safe_addresses_are_followed(server):
    server.respond = lambda request: (
        send(request) if request.path == '/there.pth' else
        send(request, b'', {'Location': '/there.pth'}, 302, 0))
    assert local_file(server.url()).read_bytes() == CONTENT


@pytest.mark.parametrize('url, reason', [
    ('http://example.org/encoder.pth', 'use https, or append #sha256='),
    ('http://example.org/encoder-0123abcd.pth', 'use https, or append #sha256='),
    ('https://example.org/encoder.pth#main', r'expected a fragment #sha256='),
    ('https://example.org/', 'names no file'),
    ('https:///encoder.pth', 'names no file'),
    ('https://[::1/encoder.pth', 'no valid URL'),
    ('https://example.org:port/encoder.pth', 'no valid URL'),
    ('https://me:secret@example.org/encoder.pth', '^a URL of example.org has a user name'),
    ('s3://bucket/encoder.pth', 'expected a path or a URL with https, got s3'),
])
def test_urls_that_are_refused(cache, url, reason):
    with pytest.raises(ValueError, match=reason):
        local_file(url)
    assert not cache.exists()


@pytest.mark.parametrize('url', ['http://127.0.0.1:9/a b.pth', 'https://.example/x.pth'])
def test_urls_that_only_the_library_refuses(url):
    with pytest.raises(OSError, match=r'^cannot download .*'):
        local_file(url)


def test_a_full_disk_leaves_nothing(server, cache, monkeypatch):
    class FullDisk:
        def __init__(self, *args):
            self.file = open(*args)

        def __enter__(self):
            return self

        def __exit__(self, *args):
            self.file.close()

        def write(self, chunk):
            self.file.write(chunk[:10])
            raise OSError(28, 'No space left on device')

    monkeypatch.setattr(downloads, 'open', FullDisk, raising=False)
    with pytest.raises(OSError, match='No space left on device'):
        local_file(server.url())
    assert not kept(cache)


def download_slowly(url, received):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(downloads, 'CHUNK', 1000)
        local_file(url)
    received.set()  # never comes to this


@pytest.mark.skipif('fork' not in multiprocessing.get_all_start_methods(), reason='needs fork')
def test_a_download_that_is_killed_begins_anew_and_leaves_nothing(server, cache):
    def halfway(request):
        send(request, CONTENT[:len(CONTENT) // 2])
        time.sleep(60)

    server.respond = halfway
    context = multiprocessing.get_context('fork')
    done = context.Event()
    process = context.Process(target=download_slowly, args=(server.url(), done))
    process.start()
    while not any(path.is_file() and path.stat().st_size for path in cache.glob('.*/*')):
        assert process.is_alive()
        time.sleep(.01)
    process.kill()
    process.join()
    assert not done.is_set() and kept(cache)  # a part, under a temporary name
    assert not [path for path in kept(cache) if path.is_file()]
    server.respond = send
    path = local_file(server.url())
    assert path.read_bytes() == CONTENT
    assert kept(cache) == [path]


def outcome(url):
    """What a process gets: the number of bytes, or the error's text."""
    try:
        return len(local_file(url).read_bytes())
    except OSError as error:
        return str(error)


@pytest.mark.skipif('fork' not in multiprocessing.get_all_start_methods(), reason='needs fork')
def test_two_processes_download_one_file_and_none_waits_for_a_failed_one(server):
    def slow(request):  # the other process comes meanwhile
        time.sleep(.5)
        (cut if len(server.requests) == 1 else send)(request)

    server.respond = slow
    with multiprocessing.get_context('fork').Pool(2) as pool:
        outcomes = pool.map_async(outcome, [server.url()] * 2, chunksize=1).get(timeout=60)
    first, second = sorted(outcomes, key=str)
    assert first == len(CONTENT) and 'the connection was cut' in second
    assert len(server.requests) == 2
