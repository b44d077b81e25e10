"""A graph as StableHLO: text for a converter, or a program of JAX itself."""

import jax
from jax import export
import numpy as np

from tsm_jax import errors

# A platform of JAX on which a depthwise convolution stays one, see
# `convolution.conv_or_product`; nothing of it is needed here, nor in the text.
_PLATFORM = 'tpu'
# Protocol buffers and flat buffers have offsets of 31 bits.
MAX_BYTES = 2**31 - 2**24  # what is no weight fits beside them
PLATFORMS = ('cpu', 'cuda', 'rocm', 'tpu')


def check_size(graph, name):
  """Raises InputError for a graph that no file can hold.

  Args:
    graph: a `graph.Graph`. In whatever precision its weights are to be, a file
      with those of float32 is written first.
    name: of the format, for the message.
  """
  size = sum(x.nbytes for x in jax.tree.leaves(graph.weights))
  if size > MAX_BYTES:
    raise errors.InputError(
      f'The weights have {size / 1e9:.1f} GB in float32, and a file of '
      f'{name} holds at most {MAX_BYTES / 1e9:.1f} GB; export a smaller '
      'network.'
    )


def stablehlo_text(graph):
  """The text of a graph whose batch is a number.

  Returns:
    A module of MLIR in the dialect StableHLO. Its function `main` has the
    inputs and outputs of the graph in their order; weights are constants.
  """
  traced = jax.jit(graph.function, keep_unused=True).trace(*graph.shapes())
  return traced.lower(lowering_platforms=(_PLATFORM,)).as_text()


def exported(graph, precision='float32'):
  """A graph as a `jax.export.Exported` for every platform of JAX.

  Args:
    graph: a `graph.Graph`. A batch of any size stays one.
    precision: 'float32', or 'float16' to keep the weights in half the bytes;
      they are computed with in float32.
  """
  weights = graph.weights
  if precision == 'float16':
    weights = jax.tree.map(np.float16, weights)

  def function(*inputs):
    full = jax.tree.map(
      lambda x: jax.numpy.asarray(x).astype('float32'), weights
    )
    return graph.native(full, *inputs)

  (batch,) = export.symbolic_shape('batch')
  return export.export(
    jax.jit(function, keep_unused=True), platforms=PLATFORMS
  )(*graph.shapes(batch))
