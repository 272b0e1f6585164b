"""A peer that is not installed is named; it is not part of the tested set."""

import importlib
import sys

import pytest
from conftest import ROOT


def test_a_missing_peer_ends_in_one_line(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'projects/benchmark'))
    peers = importlib.import_module('peers')
    monkeypatch.setitem(sys.modules, 'transformers', None)
    monkeypatch.setattr(sys, 'argv', ['peers.py'])
    with pytest.raises(SystemExit, match='transformers does not import .*docstring of peers.py'):
        peers.main()
