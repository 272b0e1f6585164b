"""hf:// through huggingface_hub, with a local server in the place of the hub."""

import functools
import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from conftest import ROOT
from safetensors.torch import save_file

from refinepose_mm.checkpoints import read_checkpoint
from refinepose_mm.hub import hub_path

COMMIT = 'c' * 40


class Hub(BaseHTTPRequestHandler):
    """Answers what huggingface_hub asks: /OWNER/NAME/resolve/REVISION/FILE."""

    protocol_version = 'HTTP/1.1'

    def __init__(self, root, asked, *args):
        self.root, self.asked = root, asked
        super().__init__(*args)

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        owner, name, _, revision, file = self.path.lstrip('/').split('?')[0].split('/', 4)
        self.asked.append((self.command, file))
        path, error = Path(self.root, owner, name, file), None
        if name == 'gated':
            error = 403, 'GatedRepo'
        elif not path.parents[file.count('/')].is_dir():
            error = 401, 'RepoNotFound'
        elif revision not in ('main', 'v1', COMMIT):
            error = 404, 'RevisionNotFound'
        elif not path.is_file():
            error = 404, 'EntryNotFound'
        content = b'' if error else path.read_bytes()
        self.send_response(error[0] if error else 200)
        if error:
            self.send_header('X-Error-Code', error[1])
        self.send_header('X-Repo-Commit', COMMIT)
        self.send_header('ETag', f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        if self.command == 'GET':
            self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def hub(tmp_path):
    """The folder of a hub, and what it was asked for."""
    pytest.importorskip('huggingface_hub', reason='huggingface_hub is not installed')
    root, asked = tmp_path / 'hub', []
    root.mkdir()
    server = ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Hub, root, asked))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield root, asked, f'http://127.0.0.1:{server.server_port}'
    server.shutdown()
    server.server_close()


# huggingface_hub reads its environment once, as it is imported: a process for each question.
READ = '''
import json, sys
from refinepose_mm.checkpoints import open_checkpoint
answers = []
for source in sys.argv[1:]:
    try:
        tensors, meta = open_checkpoint(source)
        answers.append([{name: value.tolist() for name, value in tensors.items()},
                        meta.get('config')])
    except (OSError, ValueError) as error:
        answers.append(f'{type(error).__name__}: {error}')
print(json.dumps(answers))
'''


def read(sources, address, cache, **environment):
    result = subprocess.run(
        [sys.executable, '-c', READ, *sources], capture_output=True, text=True, cwd=ROOT,
        env={**os.environ, 'HF_ENDPOINT': address, 'HF_HOME': str(cache), 'HF_TOKEN': '',
             'HF_HUB_DISABLE_XET': '1', 'HF_HUB_DISABLE_TELEMETRY': '1', **environment})
    assert result.returncode == 0, result.stderr[-2000:]
    return json.loads(result.stdout.splitlines()[-1])


def fill(folder, **files):
    folder.mkdir(parents=True)
    for name, tensors in files.items():
        save_file({key: torch.tensor(value) for key, value in tensors.items()}, folder / name)


def test_repositories_files_and_revisions(hub, tmp_path):
    root, asked, address = hub
    fill(root / 'toy/whole', **{'model.safetensors': dict(a=[1., 2])})
    (root / 'toy/whole/config.json').write_text('{"num_attention_heads": 6}')
    (root / 'toy/whole/pytorch_model.bin').write_bytes(b'nobody reads this')
    fill(root / 'toy/parts', **{'one.safetensors': dict(a=[1.]), 'two.safetensors': dict(b=[2.])})
    (root / 'toy/parts/model.safetensors.index.json').write_text(json.dumps(dict(
        weight_map=dict(a='one.safetensors', b='two.safetensors'))))
    (root / 'toy/old').mkdir()
    torch.save(dict(a=torch.tensor([3.])), root / 'toy/old/pytorch_model.bin')
    (root / 'toy/odd/coco').mkdir(parents=True)
    torch.save(dict(state_dict=dict(a=torch.tensor([4.]))), root / 'toy/odd/coco/vitpose.pth')
    sources = ['hf://toy/whole', 'hf://toy/whole@v1', 'hf://toy/parts', 'hf://toy/old',
               'hf://toy/odd/coco/vitpose.pth']
    expected = [[dict(a=[1, 2]), dict(num_attention_heads=6)]] * 2 + [
        [dict(a=[1], b=[2]), None], [dict(a=[3]), None], [dict(a=[4]), None]]
    assert read(sources, address, tmp_path / 'cache') == expected
    assert ('GET', 'pytorch_model.bin') in asked and ('GET', 'two.safetensors') in asked
    # Safe formats first: of the first repository nobody asked for the pickle, not even if it is.
    assert [file for _, file in asked[:4]] == ['config.json'] * 2 + ['model.safetensors'] * 2
    # From the cache, without a server.
    assert read(sources, 'http://127.0.0.1:9', tmp_path / 'cache', HF_HUB_OFFLINE='1') == expected


def test_what_is_not_there_is_one_line(hub, tmp_path):
    root, _, address = hub
    fill(root / 'toy/empty')
    fill(root / 'toy/whole', **{'model.safetensors': dict(a=[1.])})
    answers = read(['hf://toy/none', 'hf://toy/empty', 'hf://toy/whole@other', 'hf://toy/gated',
                    'hf://toy/whole/other.pth'], address, tmp_path / 'cache')
    for answer, message in zip(answers, (
            'OSError: cannot get hf://toy/none', 'holds no checkpoint by the name of model.safete',
            'OSError: cannot get hf://toy/whole@other', 'agree to a licence',
            'OSError: cannot get hf://toy/whole/other.pth')):
        assert message in answer and '\n' not in answer, answer


@pytest.mark.parametrize('source', ['hf://toy', 'hf://', 'hf://toy/x@', 'hf://a b/c'])
def test_addresses_that_are_none(source):
    with pytest.raises(ValueError, match='expected hf://owner/name'):
        read_checkpoint(source)


def test_without_huggingface_hub_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    with pytest.raises(ImportError, match='needs huggingface_hub: pip install huggingface_hub'):
        hub_path('hf://toy/whole', ['model.safetensors'])
