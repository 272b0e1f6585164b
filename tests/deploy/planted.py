"""Small ONNX files with the outputs of a detector: where the persons are is written into them."""

import numpy as np
import pytest

# Where a file looks at the image, and what it makes of the value: the score of its first box.
SPOT = (12, 30)  # row and column of the input


def save_detector(path, outputs, size=(64, 96), scale=1., bias=0., spot=SPOT, batch=None,
                  stem=None, kind='float32', others=()):
    """Write a file whose first output has one score from the image.

    Args:
        path: Of the file.
        outputs: Arrays (1, ...). Where the first is NaN, the score stands.
        size: Height and width of the input; None for any.
        scale: The score is this times the first channel at the spot,
        bias: plus this.
        spot: Row and column.
        batch: Of the input; None for any.
        stem: Channels of a first convolution, which changes nothing.
        kind: Of the input.
        others: Names of more inputs, which change nothing.
    """
    for package in ('onnx', 'onnxruntime'):
        pytest.importorskip(package, reason=f'{package} is not installed')
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    nodes, weights = [], []

    def constant(name, value):
        weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(kind, inputs, output, **options):
        nodes.append(helper.make_node(kind, inputs, [output], **options))
        return output

    image = node('Cast', ['images'], 'image', to=TensorProto.FLOAT)
    if stem:
        many = node('Concat', [image] * (stem // 3), 'many', axis=1)
        zeros = node('Conv', [many, constant('weight', np.zeros((3, stem, 1, 1), np.float32))],
                     'zeros')
        image = node('Add', [image, zeros], 'same')
    row, column = spot
    value = node('Slice', [image, constant('from', [0, row, column]),
                           constant('to', [1, row + 1, column + 1]), constant('axes', [1, 2, 3])],
                 'value')
    value = node('Mul', [value, constant('scale', np.float32(scale))], 'scaled')
    value = node('Add', [value, constant('bias', np.float32(bias))], 'biased')
    ends = []
    for number, output in enumerate(outputs):
        output = np.asarray(output)
        shape = constant(f'shape{number}', [-1] + [1] * (output.ndim - 1))
        score = node('Reshape', [value, shape], f'score{number}')
        here = constant(f'here{number}', np.isnan(output).astype(np.float32))
        name = node('Mul', [score, here], f'masked{number}')
        code = TensorProto.INT64 if output.dtype == np.int64 else TensorProto.FLOAT
        name = node('Cast', [name], f'cast{number}', to=code)
        node('Add', [name, constant(f'rows{number}', np.nan_to_num(output))], f'output{number}')
        ends.append(helper.make_tensor_value_info(
            f'output{number}', code, [batch, *output.shape[1:]]))
    code = dict(float32=TensorProto.FLOAT, float16=TensorProto.FLOAT16,
                uint8=TensorProto.UINT8)[kind]
    starts = [helper.make_tensor_value_info('images', code, [batch, 3, *(size or (None, None))])]
    starts += [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in others]
    model = helper.make_model(
        helper.make_graph(nodes, 'planted', starts, ends, weights),
        opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path
