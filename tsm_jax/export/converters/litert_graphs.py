"""Graphs of LiteRT in which no number of a step is rounded twice, or copied
by one thread while others wait.

Part of `to_litert.py`, in its environment.
"""

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils
import numpy as np

_KINDS = {code: name for name, code in vars(schema.BuiltinOperator).items()}
# What only moves numbers, with the place of the input that they come from.
_MOVES = {
  **dict.fromkeys(('SLICE', 'STRIDED_SLICE', 'RESHAPE', 'TRANSPOSE'), 0),
  **dict.fromkeys(('PAD', 'PADV2', 'MAX_POOL_2D'), 0),
  'SELECT_V2': 2,
}
_PIXELS = (0.0, 255.0)


def tie(model, ranges, caches):
  """Gives tensors of the same numbers the same range.

  What a shift keeps of features, for the next frame, is joined with those of
  that frame. If each had a range of its own, they would be rounded again.
  Pixels have all of theirs, whatever was seen in the samples.

  Args:
    model: the bytes of a file of float32.
    ranges: a dict from the names of tensors to dicts with min and max, arrays
      of one number, which are changed.
    caches: `(input, output)` names.
  """
  graph = _Graph(model)
  groups = _groups(graph, caches)
  for group in {id(x): x for x in groups.values()}.values():
    known = [ranges.get(graph.name(i), {}) for i in group]
    known = [x for x in known if 'min' in x]
    # A maximum is surrounded by what is less than any number.
    finite = [x for x in known if np.isfinite(x['min']).all()]
    if not finite:
      continue
    low = min(np.min(x['min']) for x in finite)
    high = max(np.max(x['max']) for x in finite)
    if any(graph.is_pixels(i) for i in group):
      low, high = _PIXELS
    for x in known:
      x['min'] = np.full_like(x['min'], low)
      x['max'] = np.full_like(x['max'], high)


def with_bytes(model):
  """Lets bytes of frames become float32 as numbers of 8 bits do.

  What computes on CPUs, XNNPACK, takes neither a CAST nor what moves bytes that
  are no such numbers: one thread did it while the others waited.

  Args:
    model: the bytes of a file.

  Returns:
    The bytes of another one, with the same outputs.
  """
  graph = _Graph(model)
  for operator in graph.operators:
    if graph.is_pixels(operator.outputs[0]):
      graph.dequantise(operator)
      tensor = operator.inputs[0]
      while tensor is not None:
        graph.tensors[tensor].quantization = schema.QuantizationParametersT(
          scale=[1.0], zeroPoint=[0]
        )
        tensor = graph.source(tensor)
  return graph.bytes()


def _groups(graph, caches):
  """A dict from each tensor to the set of those that hold the same numbers."""
  pairs = [[graph.named[x] for x in names] for names in caches]
  for operator in graph.operators:
    kind = graph.kind(operator)
    if kind == 'CONCATENATION':
      pairs += [(x, operator.outputs[0]) for x in operator.inputs]
    elif kind in _MOVES:
      pairs.append((operator.inputs[_MOVES[kind]], operator.outputs[0]))
  groups = {i: {i} for i in range(len(graph.tensors))}
  for a, b in pairs:
    if groups[a] is not groups[b]:
      groups[a] |= groups[b]
      groups.update(dict.fromkeys(groups[b], groups[a]))
  return groups


class _Graph:
  """The graph of a model; others are bodies of its operators."""

  def __init__(self, model):
    self._model = flatbuffer_utils.read_model_from_bytearray(model)
    (signature,) = self._model.signatureDefs
    graph = self._model.subgraphs[signature.subgraphIndex]
    self.tensors, self.operators = graph.tensors, graph.operators
    self.named = {
      _text(x.name): x.tensorIndex
      for x in (*signature.inputs, *signature.outputs)
    }

  def kind(self, operator):
    """Such as 'CONV_2D'."""
    code = self._model.operatorCodes[operator.opcodeIndex]
    return _KINDS[flatbuffer_utils.get_builtin_code_from_operator_code(code)]

  def name(self, tensor):
    """Of a tensor by its number."""
    return _text(self.tensors[tensor].name)

  def source(self, tensor):
    """What moves to a tensor, or None."""
    for operator in self.operators:
      if tensor in operator.outputs and self.kind(operator) in _MOVES:
        return operator.inputs[_MOVES[self.kind(operator)]]
    return None

  def dequantise(self, operator):
    """Makes a CAST a DEQUANTIZE."""
    code = schema.BuiltinOperator.DEQUANTIZE
    self._model.operatorCodes.append(
      schema.OperatorCodeT(
        builtinCode=code, deprecatedBuiltinCode=code, version=2
      )
    )
    operator.opcodeIndex = len(self._model.operatorCodes) - 1
    operator.builtinOptionsType = schema.BuiltinOptions.NONE
    operator.builtinOptions = None

  def bytes(self):
    """The file of the graph."""
    return bytes(flatbuffer_utils.convert_object_to_bytearray(self._model))

  def is_pixels(self, tensor):
    """Whether it is what became float32 of images of bytes."""
    for operator in self.operators:
      if tensor in operator.outputs and self.kind(operator) == 'CAST':
        source = self.tensors[operator.inputs[0]]
        return source.type == schema.TensorType.UINT8 and len(source.shape) > 1
    return False


def _text(name):
  return name.decode() if isinstance(name, bytes) else name
