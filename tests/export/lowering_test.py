import re

import jax
from jax import export
import numpy as np

from support import leaving
from tsm_jax.export import graph, lowering

short = leaving.short


def test_a_depthwise_convolution_stays_one(short):
  trained = leaving.trained(direction='past', **leaving.MOBILE)
  text = lowering.stablehlo_text(graph.create(trained, 'step', 1))
  groups = re.findall(r'feature_group_count = (\d+)', text)
  assert sorted(map(int, groups)) == [1] * 7 + [32, 48, 48]
  # Of every kernel [3, 3, 1, C] there is one, of as many groups.
  for line in text.splitlines():
    if 'stablehlo.convolution' in line:
      kernel, _ = re.findall(r'tensor<(\d+(?:x\d+)*)xf32>', line)[1:]
      *_, per_group, channels = map(int, kernel.split('x'))
      count = int(re.search(r'feature_group_count = (\d+)', line)[1])
      assert count == 1 or (per_group, count) == (1, channels)
  for rare in ('custom_call', 'case', 'gather', 'pad'):
    assert f'stablehlo.{rare}' not in text
  assert text.count('stablehlo.select') == 1  # the reset of the cache
  assert text.count('stablehlo.concatenate') == 1  # the shift
  head = re.search(r'func public @main\((.*?)\) -> \((.*)\) \{', text)
  assert head[1].count('%arg') == 2 + 1 and 'tensor<1xui8>' in head[1]


def test_an_exported_graph_runs_anywhere_in_a_batch_of_any_size():
  made = graph.create(leaving.trained(num_frames=2), 'clip', None)
  frames = leaving.images(3, 2, 36, 36)
  (expected,) = jax.jit(made.function)(frames)
  for precision, largest in (('float32', 1e-6), ('float16', 1e-3)):
    data = lowering.exported(made, precision).serialize()
    again = export.deserialize(data)
    assert again.platforms == ('cpu', 'cuda', 'rocm', 'tpu')
    for size in (1, 3):
      (found,) = again.call(frames[:size])
      np.testing.assert_allclose(found, expected[:size], atol=largest)
    if precision == 'float32':
      whole = len(data)
  # The program stays, and each weight takes two bytes in the place of four.
  weights = sum(x.size for x in jax.tree.leaves(made.weights))
  assert whole - len(data) > 1.9 * weights
