"""Graphs of ONNX with 8 bits.

Part of `to_onnx.py`, in its environment.
"""

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime import quantization

# What is computed with 8 bits: products, and what moves or joins their
# features. The softmax stays float.
OPERATIONS = (
  *('Conv', 'Gemm', 'MatMul', 'Add', 'Concat', 'Slice', 'Clip', 'Relu'),
  *('MaxPool', 'AveragePool', 'Transpose', 'Reshape', 'Pad'),
)
_MOVES = ('Concat', 'Reshape', 'Transpose')


def quantised(model, names, folder):
  """A model of 8 bits, calibrated by the samples of a folder."""
  # Next to each other: a convolution and its bounds, and what becomes bytes.
  for first in ('Reshape', 'Transpose'):
    for bound in ('Clip', 'Relu'):
      _exchange(model, first, bound)
  _exchange(model, 'Cast', 'Reshape')
  pixels = _pixels(model)
  source, target = (str(folder / f'{x}.onnx') for x in ('float', 'int8'))
  onnx.save(model, source)
  quantization.quantize_static(
    source,
    target,
    _Samples(names, folder),
    quant_format=quantization.QuantFormat.QDQ,
    op_types_to_quantize=list(OPERATIONS),
    per_channel=True,
    activation_type=quantization.QuantType.QUInt8,
    weight_type=quantization.QuantType.QInt8,
    # Without this, two products of 8 bits may not fit into the 16 bits that
    # processors without VNNI add them in.
    reduce_range=True,
    # All values of a byte, whatever was seen in the samples.
    extra_options={
      'TensorQuantOverrides': {
        name: [
          {'scale': np.array(1, 'float32'), 'zero_point': np.array(0, 'uint8')}
        ]
        for name in pixels
      }
    },
  )
  return _without_floats(onnx.load(target))


def _exchange(model, first, then):
  """Lets an operation take the place of another one behind it."""
  graph = model.graph
  for node in list(graph.node):
    users = [x for x in graph.node if node.output[0] in x.input]
    if node.op_type != first or [x.op_type for x in users] != [then]:
      continue
    (user,) = users
    between, last = node.output[0], user.output[0]
    user.input[0], user.output[0] = node.input[0], between
    node.input[0], node.output[0] = between, last
    graph.node.remove(node)
    graph.node.insert(list(graph.node).index(user) + 1, node)
  del graph.value_info[:]  # what is between has another shape or type now


def _pixels(model):
  """The names of the tensors that hold images of bytes as float32."""
  found = {x.output[0] for x in model.graph.node if _is_image(model, x)}
  for node in model.graph.node:  # in the order of the flow
    if node.op_type in _MOVES and found.intersection(node.input):
      found.add(node.output[0])
      if node.op_type == 'Concat':
        found.update(node.input)
  return found


def _is_image(model, node):
  """Whether a node makes float32 of an image, of bytes."""
  one = [
    x.name for x in model.graph.input if len(x.type.tensor_type.shape.dim) < 2
  ]
  return node.op_type == 'Cast' and node.input[0] not in one


def _without_floats(model):
  """Lets pixels stay bytes, which were to be float32 and bytes again."""
  graph = model.graph
  numbers = {x.name: numpy_helper.to_array(x) for x in graph.initializer}
  casts = {x.output[0]: x for x in graph.node if _is_image(model, x)}
  for node in list(graph.node):
    if node.op_type != 'QuantizeLinear' or node.input[0] not in casts:
      continue
    scale, zero = (numbers[x] for x in node.input[1:])
    if scale != 1 or zero != 0:
      continue
    cast = casts[node.input[0]]
    for other in graph.node:
      for i, name in enumerate(other.input):
        if name == node.output[0]:
          other.input[i] = cast.input[0]
    graph.node.remove(node)
  used = {x for node in graph.node for x in node.input}
  for cast in casts.values():
    if cast.output[0] not in used:
      graph.node.remove(cast)
  return model


class _Samples(quantization.CalibrationDataReader):
  """The samples of a folder, one at a time in memory."""

  def __init__(self, names, folder):
    self._names = names
    self._paths = iter(sorted(folder.glob('sample*.npz')))

  def get_next(self):
    """The next one as a dict of arrays, or None after the last."""
    if (path := next(self._paths, None)) is None:
      return None
    with np.load(path) as arrays:
      return dict(zip(self._names, arrays.values()))
