"""A torch.export file rewritten in the operators that converters for phones support.

Core ML Tools, LiteRT and ExecuTorch start from a ``.pt2`` file. They fail on four things in it:
positions of 8 bits without sign, the channels-last layout, poolings without a stride, and
unpooling by tensors of seven dimensions.
"""

from __future__ import annotations

import torch
from torch import fx
from torch.export import ExportedProgram

aten = torch.ops.aten
UNPOOLING = 7  # dimensions of its tensors, see refinepose_mm/ops/pool_positions.py


def portable(program: ExportedProgram) -> ExportedProgram:
    """The same network in int32, in torch's usual layout, with strides, in five dimensions.

    Needs torch only, so that it runs where the converters are.

    Args:
        program: Of a file that ``refinepose export --format torch-export --batch N`` wrote, as
            ``torch.export.load`` gives it. It changes.

    Raises:
        ValueError: If it takes any number of images.
    """
    module = program.module()
    inputs = [node.meta['val'] for node in module.graph.nodes if node.op == 'placeholder']
    shapes = [tuple(value.shape) for value in inputs]
    if not all(isinstance(size, int) for shape in shapes for size in shape):
        raise ValueError('phones take a fixed number of images: export the file with --batch 1')
    for node in list(module.graph.nodes):
        _replace_words(node)
        if node.target is aten.where.ScalarOther and node.meta['val'].ndim == UNPOOLING:
            _unpool_in_five_dimensions(node)
    module.graph.eliminate_dead_code()
    module.recompile()
    for tensor in (*module.parameters(), *module.buffers()):
        # Not contiguous(): it leaves the strides of sides of length 1, which ExecuTorch reads.
        tensor.data = torch.empty(tensor.shape, dtype=tensor.dtype).copy_(tensor.data)
    return torch.export.export(module, tuple(map(torch.zeros, shapes)))


def _replace_words(node: fx.Node) -> None:
    words = {torch.uint8: torch.int32, torch.channels_last: torch.contiguous_format}
    node.args = tuple(words.get(value, value) if isinstance(value, (torch.dtype,
                      torch.memory_format)) else value for value in node.args)
    node.kwargs = {name: words.get(value, value) if isinstance(value, (torch.dtype,
                   torch.memory_format)) else value for name, value in node.kwargs.items()}
    if node.target is aten.max_pool2d.default and len(node.args) == 2:
        node.args = (*node.args, node.args[1])


def _unpool_in_five_dimensions(where: fx.Node) -> None:
    """Compute what `_place` of ``pool_positions`` does by interleaving columns, then rows."""
    is_place, values, _ = where.args
    positions = is_place.args[0].args[0].args[0]  # eq(reshape(permute(positions)), window)
    x = values.args[0].args[0]  # reshape(permute(x))
    reshaped, = where.users
    unpooled, = reshaped.users  # permute
    batch, channels, height, width = x.meta['val'].shape
    with where.graph.inserting_before(where):
        def call(target: torch._ops.OpOverload, *args: object) -> fx.Node:
            return where.graph.call_function(target, args)

        repeats = channels // positions.meta['val'].shape[1]
        positions = call(aten.repeat.default, positions, [1, repeats, 1, 1])
        maps = [call(aten.where.ScalarOther, call(aten.eq.Scalar, positions, place), x, 0.)
                for place in range(4)]
        rows = [call(aten.reshape.default, call(aten.stack.default, pair, -1),
                     [batch, channels, height, 2 * width]) for pair in (maps[:2], maps[2:])]
        whole = call(aten.reshape.default, call(aten.stack.default, rows, 3),
                     [batch, channels, 2 * height, 2 * width])
    unpooled.replace_all_uses_with(whole)
