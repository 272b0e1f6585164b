"""A peer that is missing is named; one that is installed is the network that ours stands for."""

import importlib
import sys

import pytest
import torch
from conftest import ROOT
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS


@pytest.fixture
def peers(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / 'projects/benchmark'))
    return importlib.import_module('peers')


def test_a_missing_peer_ends_in_one_line(peers, monkeypatch):
    monkeypatch.setitem(sys.modules, 'transformers', None)
    monkeypatch.setattr(sys, 'argv', ['peers.py'])
    with pytest.raises(SystemExit, match='transformers does not import .*docstring of peers.py'):
        peers.main()


def test_transformers_vitpose_is_the_network_that_ours_stands_for(peers):
    pytest.importorskip('transformers', reason='transformers is not installed')
    init_default_scope('mmpose')
    configs = peers.variants('base', peers.SIZE)
    with torch.device('meta'):
        theirs = peers.peers()
        ours = [MODELS.build(configs[name]) for name in ('ViTPose', 'ViTPose simple')]
        for (name, their), our in zip(theirs.items(), ours):
            assert their(torch.empty(1, 3, *peers.SIZE)).shape == (1, 17, 64, 48), name
            # They keep one more position, of a class token.
            counts = [sum(p.numel() for p in model.parameters()) for model in (their, our)]
            assert counts[0] == counts[1] + 768, name


def test_rtmpose_has_the_vectors_of_its_config(peers):
    init_default_scope('mmpose')
    x, y = peers.rtmpose()(torch.zeros(1, 3, *peers.SIZE))
    assert x.shape == (1, 17, 2 * peers.SIZE[1]) and y.shape == (1, 17, 2 * peers.SIZE[0])
