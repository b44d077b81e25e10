"""Files of LiteRT and ONNX answer as the graph does, in their runtimes.

The converters' environments are made on first use, which needs a network.
"""

from ai_edge_litert import interpreter
import jax
import numpy as np
import onnxruntime
import pytest

from support import leaving
from tsm_jax.export import converters, graph

pytestmark = pytest.mark.slow
CASES = {
  'resnet': ('step', {'direction': 'past'}),
  'mobilenet_v2': ('step', {'direction': 'past', **leaving.MOBILE}),
  'bn_inception': ('clip', {'name': 'bn_inception', 'shift': 'none'}),
  'non_local': (
    'clip',
    {'depth': 50, 'stage_sizes': (1, 2), 'non_local': True},
  ),
}


@pytest.fixture(params=CASES)
def made(request):
  what, fields = CASES[request.param]
  trained = leaving.trained(64, 2, **fields)
  bias = trained.variables['params']['head']['bias']
  bias[:] = np.linspace(-3, 3, len(bias))  # which no rounding hides
  return graph.create(trained, what, 1)


def inputs(made, seed=0):
  """Frames of noise, and caches of it for a step."""
  rng = np.random.default_rng(seed)
  arrays = [leaving.images(*made.inputs[0].shape[:-1], seed=seed)]
  for tensor in made.inputs[1:]:
    noise = rng.normal(size=[n or 1 for n in tensor.shape])
    arrays.append(noise.astype(tensor.dtype))
  if len(arrays) > 1:
    arrays[1][:] = 0  # it goes on
  return arrays


def litert(path, made, arrays):
  runner = interpreter.Interpreter(str(path)).get_signature_runner()
  for tensor, detail in zip(
    sorted(made.inputs), sorted(runner.get_input_details().items())
  ):
    assert (tensor.name, np.dtype(tensor.dtype)) == (
      detail[0],
      np.dtype(detail[1]['dtype']),
    )
  found = runner(**{x.name: a for x, a in zip(made.inputs, arrays)})
  return [found[x.name] for x in made.outputs]


def onnx(path, made, arrays):
  session = onnxruntime.InferenceSession(path)
  assert [x.name for x in session.get_inputs()] == [x.name for x in made.inputs]
  return session.run(
    [x.name for x in made.outputs],
    {x.name: a for x, a in zip(made.inputs, arrays)},
  )


RUN = {'litert': litert, 'onnx': onnx}


def convert(format, made, folder, precision, **kwargs):
  path = folder / f'{format}_{precision}'
  converters.convert(format, made, path, precision, log=print, **kwargs)
  return path


@pytest.mark.parametrize('format', RUN)
def test_float32_is_equal(format, made, tmp_path):
  path = convert(format, made, tmp_path, 'float32')
  arrays = inputs(made)
  expected = jax.jit(made.function)(*arrays)
  found = RUN[format](path, made, arrays)
  for a, b in zip(found, expected, strict=True):
    np.testing.assert_allclose(a, b, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize('precision', ['float16', 'int8'])
@pytest.mark.parametrize('format', RUN)
def test_smaller_weights_are_near(format, precision, tmp_path):
  # So many weights that they are more than what else is in the file.
  trained = leaving.trained(direction='past', width=32)
  made = graph.create(trained, 'step', 1)
  arrays = inputs(made)
  samples = [inputs(made, seed) for seed in range(4)]
  given = {'calibration': samples} if precision == 'int8' else {}
  path = convert(format, made, tmp_path, precision, **given)
  expected = jax.jit(made.function)(*arrays)
  found = RUN[format](path, made, arrays)
  bound = {'float16': 5e-3, 'int8': 0.1}[precision]
  for a, b in zip(found, expected, strict=True):
    assert a.dtype == np.float32
    assert np.abs(a - b).max() < bound * max(1, np.abs(b).max())
  size = sum(x.nbytes for x in jax.tree.leaves(made.weights))
  assert path.stat().st_size < 0.6 * size


def test_a_batch_of_any_size(tmp_path):
  trained = leaving.trained(direction='past')
  made = graph.create(trained, 'step', None)
  path = convert('onnx', made, tmp_path, 'float32')
  for size in (1, 3):
    arrays = inputs(graph.create(trained, 'step', size))
    expected = jax.jit(made.function)(*arrays)
    for a, b in zip(onnx(path, made, arrays), expected, strict=True):
      np.testing.assert_allclose(a, b, atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize('format', RUN)
@pytest.mark.parametrize(
  'fields', [{'non_local': True}, {'temporal_pool': True}]
)
def test_clips_of_8_bits_are_near(fields, format, tmp_path):
  """Of networks whose operations have graphs of their own in a file."""
  trained = leaving.trained(32, 4, depth=50, stage_sizes=(1, 2), **fields)
  made = graph.create(trained, 'clip', 1)
  samples = [inputs(made, seed) for seed in range(4)]
  path = convert(format, made, tmp_path, 'int8', calibration=samples)
  (found,) = RUN[format](path, made, samples[0])
  (expected,) = jax.jit(made.function)(*samples[0])
  np.testing.assert_allclose(found, expected, atol=0.05)


@pytest.mark.parametrize('fields', [{}, leaving.MOBILE])
def test_no_number_of_8_bits_is_rounded_twice(fields, tmp_path):
  trained = leaving.trained(direction='past', **fields)
  made = graph.create(trained, 'step', 1)
  samples = [inputs(made, seed) for seed in range(2)]
  paths = {
    format: convert(format, made, tmp_path, 'int8', calibration=samples)
    for format in RUN
  }
  found = interpreter.Interpreter(
    str(paths['litert']),
    experimental_op_resolver_type=(
      interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    ),
  )
  tensors = {x['index']: x for x in found.get_tensor_details()}
  operations = found._get_ops_details()
  changed = [
    [tensors[i]['dtype'] for i in (*x['inputs'], *x['outputs'])]
    for x in operations
    if x['op_name'] == 'QUANTIZE'
  ]
  assert changed and [np.int8, np.int8] not in changed
  # What a shift keeps has the range of what it is taken from.
  makers = {i: x for x in operations for i in x['outputs']}
  kept = [
    makers[makers[x['index']]['inputs'][0]]
    for x in found.get_output_details()
    if len(x['shape']) == 4
  ]
  assert len(kept) == len(made.caches)
  for x in kept:
    before, after = (
      tensors[x[name][0]]['quantization'] for name in ('inputs', 'outputs')
    )
    assert before == after
  # Of reset, not of frames: pixels are bytes.
  casts = [x for x in operations if x['op_name'] == 'CAST']
  assert [list(tensors[x['inputs'][0]]['shape']) for x in casts] == [[1]]
  assert paths['onnx'].read_bytes().count(b'\x22\x04Cast') == 1
