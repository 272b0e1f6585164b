"""What is recomputed is not kept, and is the same; of products only depthwise ones are repeated."""

import pytest
import torch
from torch.profiler import profile

from refinepose_mm.models import (
    FusionHead,
    ShortcutViT,
    feature_aggregation,
    fusion_head,
    vit_layers,
)
from refinepose_mm.ops.recompute import Recomputes, set_recompute

BATCH_NORM = dict(type='BN')
PRODUCTS = ('aten::mkldnn_convolution', 'aten::_slow_conv2d_forward', 'aten::addmm')


class Case:
    """A module, its inputs, the bytes that recomputation saves, and the products it repeats."""

    def __init__(self, module, *inputs, saved, repeated):
        self.module, self.inputs, self.saved, self.repeated = module, inputs, saved, repeated

    def run(self):
        """Output, gradients and buffers; what was kept for the gradients; products made."""
        torch.manual_seed(0)
        for parameter in self.module.parameters():
            torch.nn.init.normal_(parameter)
        for buffer in self.module.buffers():
            buffer.zero_()
        self.module.zero_grad()
        x, *rest = self.inputs
        x = x.clone().requires_grad_()
        kept = {}

        def keep(tensor):
            kept[tensor.untyped_storage().data_ptr()] = tensor  # alive, so that no other gets it
            return tensor

        with profile() as recorded:
            with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
                output = self.module.train()(x, *rest)
            size = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
            output.square().sum().backward()
        names = [event.name for event in recorded.events()]
        return ([output.detach(), x.grad, *(p.grad for p in self.module.parameters()),
                 *(b.clone() for b in self.module.buffers())],
                size, sum(names.count(name) for name in PRODUCTS))


def cases():
    positions = torch.randint(0, 4, (2, 6, 4, 4), dtype=torch.uint8)
    float32 = 4
    return dict(
        feed_forward=Case(vit_layers.FeedForward(16, 64), torch.randn(2, 10, 16),
                          saved=2 * 10 * 64 * float32, repeated=0),  # what GELU makes
        aggregation=Case(feature_aggregation.FeatureAggregation(6, 6, BATCH_NORM),
                         torch.randn(2, 6, 8, 8),
                         saved=2 * 6 * 8 * 8 * float32, repeated=1),  # what the depthwise one makes
        # The enlarged map as well, and that output twice.
        up_sample=Case(fusion_head.UpSample(6, 6, True, True, BATCH_NORM),
                       torch.randn(2, 6, 4, 4), positions,
                       saved=3 * 2 * 6 * 8 * 8 * float32, repeated=2))


@pytest.mark.parametrize('name', cases())
def test_it_saves_memory_and_changes_nothing(name):
    case = cases()[name]
    found, size, products = case.run()
    set_recompute(case.module, False)
    expected, plain_size, plain_products = case.run()
    for ours, theirs in zip(found, expected):
        assert torch.equal(ours, theirs)
    # Checkpointing keeps its inputs where no hook sees them; the plain form keeps them, too.
    hidden = 0 if name == 'feed_forward' else case.inputs[0].nbytes
    assert plain_size - size >= case.saved - hidden
    assert products - plain_products == case.repeated


@pytest.mark.parametrize('wanted', [True, False])
def test_a_config_says_whether_all_parts_do(wanted):
    arch = dict(embed_dims=32, num_layers=4, num_heads=4, feedforward_channels=64)
    for model, parts in ((ShortcutViT(arch, (64, 48), recompute=wanted), 4 + 4),  # blocks, stages
                         (FusionHead(32, 5, recompute=wanted), 2 * 3)):
        found = [part.recomputes for part in model.modules() if isinstance(part, Recomputes)]
        assert found == [wanted] * parts
