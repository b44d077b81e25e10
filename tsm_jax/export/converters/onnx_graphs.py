"""Graphs of ONNX in the form that onnxruntime runs fastest, and smaller ones.

Part of `to_onnx.py`, in its environment.
"""

import collections
import os
import tempfile

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization import shape_inference

_FLOATS = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16


def simplified(model):
  """A model with pools and bounds that onnxruntime knows, and no constants."""
  _pool(model)
  return _optimised(_bias(_clip(_optimised(model))))


def _optimised(model):
  """A model as onnxruntime's own basic, standard optimisations leave it."""
  with tempfile.TemporaryDirectory() as folder:
    before, after = (os.path.join(folder, x) for x in ('before', 'after'))
    onnx.save(model, before)
    shape_inference.quant_pre_process(before, after, skip_symbolic_shape=True)
    return onnx.load(after)


def _pool(model):
  """Lets pools pool the axes between the first and the last.

  They come as pools of two axes more, over a batch and a channel of 1, which
  onnxruntime does not have.
  """
  graph = model.graph
  makers = {name: node for node in graph.node for name in node.output}
  users = {name: node for node in graph.node for name in node.input}
  for node in list(graph.node):
    kernel = _attribute(node, 'kernel_shape') or []
    if not node.op_type.endswith('Pool') or len(kernel) < 3:
      continue
    rank = len(kernel)
    second = makers[node.input[0]]
    first, squeeze = makers[second.input[0]], users[node.output[0]]
    for name in ('kernel_shape', 'strides', 'dilations'):
      _set(node, name, (_attribute(node, name) or [1] * rank)[1:-1])
    pads = _attribute(node, 'pads') or [0] * 2 * rank
    _set(node, 'pads', [*pads[1 : rank - 1], *pads[rank + 1 : -1]])
    there = [0, rank - 1, *range(1, rank - 1)]
    back = [0, *range(2, rank), 1]
    names = [f'{node.output[0]}_{x}' for x in ('in', 'out')]
    into = helper.make_node(
      'Transpose', [first.input[0]], [names[0]], perm=there
    )
    out = helper.make_node(
      'Transpose', [names[1]], [squeeze.output[0]], perm=back
    )
    node.input[0], node.output[0] = names
    place = list(graph.node).index(node)
    graph.node.insert(place + 1, out)
    graph.node.insert(place, into)
    for old in (first, second, squeeze):
      graph.node.remove(old)


def _clip(model):
  """Makes bounds of maxima and minima with a number."""
  graph = model.graph
  numbers = {
    x.name: numpy_helper.to_array(x).item()
    for x in graph.initializer
    if int(np.prod(x.dims)) == 1 and x.data_type in _FLOATS
  }
  makers = {name: node for node in graph.node for name in node.output}
  for node in graph.node:
    if node.op_type not in ('Max', 'Min') or len(node.input) != 2:
      continue
    given = [x for x in node.input if x in numbers]
    if len(given) != 1:
      continue
    (other,) = (x for x in node.input if x not in numbers)
    bound = numbers[given[0]]
    if node.op_type == 'Max' and bound == 0:
      node.op_type, node.input[:] = 'Relu', [other]
    elif node.op_type == 'Min' and bound > 0:
      maker = makers.get(other)
      if maker is not None and maker.op_type == 'Relu':
        low, high = (f'{node.output[0]}_{x}' for x in ('low', 'high'))
        for name, value in ((low, 0), (high, bound)):
          graph.initializer.append(
            numpy_helper.from_array(np.float32(value), name)
          )
        node.op_type, node.input[:] = 'Clip', [maker.input[0], low, high]
  used = {x for node in graph.node for x in node.input}
  used |= {x.name for x in graph.output}
  for node in list(graph.node):
    if not used.intersection(node.output):
      graph.node.remove(node)
  return model


def _bias(model):
  """Gives the products their bias, which some have as a sum behind them."""
  graph = model.graph
  numbers = {x.name: x for x in graph.initializer}
  makers = {name: node for node in graph.node for name in node.output}
  users = collections.Counter(x for node in graph.node for x in node.input)
  for node in graph.node:
    if node.op_type == 'Gemm' and len(node.input) > 2:
      tensor = numbers.get(node.input[2])
      # A number that stands for no bias, which no quantiser takes.
      if tensor is not None and not tensor.dims and not _sum(node, tensor):
        del node.input[2]
        for attribute in [x for x in node.attribute if x.name == 'beta']:
          node.attribute.remove(attribute)  # 0, a factor of the bias
  for node in list(graph.node):
    given = [x for x in node.input if x in numbers]
    if node.op_type != 'Add' or len(given) != 1:
      continue
    (other,) = (x for x in node.input if x not in numbers)
    chain = [makers.get(other)]
    if chain[0] is not None and chain[0].op_type == 'Transpose':
      chain.append(makers.get(chain[0].input[0]))
    last, product = chain[0], chain[-1]
    bias = numpy_helper.to_array(numbers[given[0]])
    fits = (
      product is not None
      and len(product.input) == 2
      and (product.op_type, len(chain)) in (('Conv', 2), ('Gemm', 1))
      and bias.size == bias.shape[-1] > 1
      and all(users[x.output[0]] == 1 for x in chain)
    )
    if fits:
      name = f'{product.output[0]}_bias'  # its own name may be empty
      graph.initializer.append(numpy_helper.from_array(bias.ravel(), name))
      product.input.append(name)
      last.output[0] = node.output[0]
      graph.node.remove(node)
  return model


def _sum(node, tensor):
  """What a Gemm adds by a bias that is one number."""
  (beta,) = [x.f for x in node.attribute if x.name == 'beta'] or [1.0]
  return beta * numpy_helper.to_array(tensor).item()


def halve(model):
  """Keeps the weights of a model in half the bytes."""
  graph = model.graph
  weights = {
    node.input[1]
    for node in graph.node
    if node.op_type in ('Conv', 'Gemm', 'MatMul')
  }
  casts = []
  for tensor in graph.initializer:  # not what makes frames of pixels
    if tensor.data_type != onnx.TensorProto.FLOAT or tensor.name not in weights:
      continue
    name = tensor.name
    half = numpy_helper.to_array(tensor).astype(np.float16)
    tensor.CopyFrom(numpy_helper.from_array(half, f'{name}_half'))
    casts.append(helper.make_node('Cast', [tensor.name], [name], to=_FLOATS[0]))
  for node in casts:
    graph.node.insert(0, node)


def _attribute(node, name):
  for attribute in node.attribute:
    if attribute.name == name:
      return list(attribute.ints)
  return None


def _set(node, name, values):
  for attribute in list(node.attribute):
    if attribute.name == name:
      node.attribute.remove(attribute)
  node.attribute.append(helper.make_attribute(name, values))
