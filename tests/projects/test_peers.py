"""A peer that is not installed is named; the peers themselves are not part of the tested set."""

import importlib
import sys

import pytest
from conftest import ROOT


@pytest.mark.parametrize('peer', ['mmpretrain', 'transformers'])
def test_a_missing_peer_ends_in_one_line(peer, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'projects/benchmark'))
    peers = importlib.import_module('peers')
    monkeypatch.setitem(sys.modules, peer, None)
    monkeypatch.setattr(sys, 'argv', ['peers.py', '--peer', peer])
    with pytest.raises(SystemExit, match=f'{peer} does not import .*docstring of peers.py'):
        peers.main()
