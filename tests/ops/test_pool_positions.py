import pytest
import torch
import torch.nn.functional as F

from refinepose_mm.ops.pool_positions import (
    max_pool,
    max_pool_with_positions,
    max_unpool_by_positions,
)


def maps(dtype=torch.float32):
    """A random map, one full of ties and one whose values are all negative."""
    generator = torch.Generator().manual_seed(0)
    random = torch.randn(2, 6, 8, 10, generator=generator)
    return [
        random.to(dtype),
        torch.randint(0, 2, random.shape, generator=generator).to(dtype),
        torch.full_like(random, -1.).to(dtype),
    ]


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('x', maps())
def test_pooling_and_unpooling_equal_torch_bit_for_bit(x, memory_format):
    x = x.contiguous(memory_format=memory_format)
    expected, indices = F.max_pool2d(x, 2, return_indices=True)
    pooled, positions = max_pool_with_positions(x)
    assert torch.equal(pooled, expected)
    assert positions.dtype == torch.uint8
    unpooled = max_unpool_by_positions(pooled, positions)
    assert torch.equal(unpooled, F.max_unpool2d(expected, indices, 2))


def test_ties_go_to_the_first_pixel():
    _, positions = max_pool_with_positions(torch.zeros(1, 1, 2, 2))
    assert positions.item() == 0


def test_positions_name_the_pixel_row_by_row():
    windows = torch.eye(4).view(4, 1, 2, 2)
    _, positions = max_pool_with_positions(windows)
    assert positions.flatten().tolist() == [0, 1, 2, 3]


def test_gradients_equal_torch():
    # Ties included: torch sends the whole gradient to the first maximum.
    ours = torch.randint(0, 2, (2, 3, 6, 4)).float().requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    weight = torch.randn(2, 3, 6, 4)
    pooled, positions = max_pool_with_positions(ours)
    (max_unpool_by_positions(pooled, positions) * weight).sum().backward()
    expected, indices = F.max_pool2d(theirs, 2, return_indices=True)
    (F.max_unpool2d(expected, indices, 2) * weight).sum().backward()
    assert ours.grad.abs().sum() > 0
    assert torch.equal(ours.grad, theirs.grad)


@pytest.mark.parametrize('pool', [max_pool, lambda x: max_pool_with_positions(x)[0]])
def test_the_gradient_needs_positions_alone(pool):
    x, kept = torch.randn(2, 3, 6, 4, requires_grad=True), []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        pooled = pool(x)
    assert torch.equal(pooled, F.max_pool2d(x, 2))
    assert [(t.dtype, t.shape) for t in kept] == [(torch.uint8, pooled.shape)]


def test_wider_map_uses_position_channel_k_mod_c():
    positions = torch.randint(0, 4, (2, 3, 4, 5), dtype=torch.uint8)
    x, weight = torch.randn(2, 6, 4, 5, requires_grad=True), torch.randn(2, 6, 8, 10)
    found = []
    for given in (positions, positions.repeat(1, 2, 1, 1)):
        unpooled = max_unpool_by_positions(x, given)
        gradient, = torch.autograd.grad((unpooled * weight).sum(), x)
        found.append((unpooled, gradient))
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*found))
    # Each value came from one pixel: its gradient is the weight of that pixel.
    assert torch.equal(found[0][1], max_pool_like(weight, positions.repeat(1, 2, 1, 1)))


def max_pool_like(x, positions):
    """The pixels of the windows that positions name."""
    windows = x.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)  # B,C,h,w,4
    return windows.gather(4, positions[..., None].long())[..., 0]


def test_bfloat16_positions_equal_those_of_the_same_values_in_float32():
    for x in maps(torch.bfloat16):
        _, positions = max_pool_with_positions(x)
        _, expected = max_pool_with_positions(x.float())
        assert torch.equal(positions, expected)


def test_odd_sizes_are_refused_with_the_size():
    with pytest.raises(ValueError, match='even height and width, got 5x4'):
        max_pool_with_positions(torch.zeros(1, 1, 5, 4))
