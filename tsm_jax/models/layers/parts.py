"""Features whose moving channels are an array of their own.

Where nothing trains, a ResNet of bottlenecks hands its features on so, see
`folding`. A shift then takes other moving channels, and the others, most of all
features, are neither read nor written for it.
"""

import dataclasses
import functools
import operator

import jax
import jax.numpy as jnp
import numpy as np


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Parts:
  """Features `[N, H, W, C]` in two arrays.

  Attributes:
    moved: the first channels, which shifts move, `[N, H, W, M]`.
    rest: the others, `[N, H, W, C - M]`.
  """

  moved: jax.Array
  rest: jax.Array

  @property
  def shape(self):
    """`(N, H, W, C)`."""
    return (*self.rest.shape[:-1], self.moved.shape[-1] + self.rest.shape[-1])


def joined(x):
  """An array `[..., C]` of an array or of `Parts`."""
  if isinstance(x, Parts):
    return jnp.concatenate([x.moved, x.rest], axis=-1)
  return x


def split(kernel, bias, apart):
  """The weights of a convolution that takes parts, or gives them.

  Args:
    kernel: `[h, w, C, D]`, a NumPy array.
    bias: `[D]`, a NumPy array.
    apart: how many of the C and of the D channels are moved ones; 0 if they all
      are one array.

  Returns:
    `(kernel, bias)` as tuples of arrays: `kernel[i][j]` leads from the part j
    of the input to the part i of the output, whose bias is `bias[i]`.
  """
  (inputs, outputs) = ([count] if count else [] for count in apart)
  columns = np.split(kernel, outputs, axis=3)
  return (
    tuple(tuple(np.split(column, inputs, axis=2)) for column in columns),
    tuple(np.split(bias, outputs)),
  )


def convolve(x, kernel, bias, conv):
  """A convolution with the weights of `split`.

  Args:
    x: `[N, H, W, C]`, an array or `Parts`.
    kernel: from `split`.
    bias: from `split`.
    conv: the convolution of an array and a kernel.

  Returns:
    `[N, H', W', D]`, an array or `Parts`.
  """
  inputs = jax.tree.leaves(x)
  outputs = []
  for column, summand in zip(kernel, bias):
    # The largest has the bias, which most compilers make a part of it.
    *others, last = map(conv, inputs, column)
    last += summand.reshape((1, 1, 1, -1))
    outputs.append(functools.reduce(operator.add, others, last))
  return Parts(*outputs) if len(outputs) == 2 else outputs[0]
