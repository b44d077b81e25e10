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
    rest: the others, `[N, H, W, C - M]`; or all features as they were before
      some of them moved, if what reads them has no weights for those.
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


def strided(x, strides):
  """Every second row and column of `Parts`, or whatever `strides` says."""
  down, across = strides
  return jax.tree.map(lambda x: x[:, ::down, ::across], x)


def split(kernel, bias, apart, beside=False):
  """The weights of a convolution that takes parts, or gives them.

  Args:
    kernel: `[h, w, C, D]`, a NumPy array.
    bias: `[D]`, a NumPy array.
    apart: how many of the C and of the D channels are moved ones; 0 if they all
      are one array.
    beside: whether the second part of the input is all C channels: those that
      moved have weights of zero there.

  Returns:
    `(kernel, bias)` as tuples of arrays: `kernel[i][j]` leads from the part j
    of the input to the part i of the output, whose bias is `bias[i]`.
  """
  (inputs, outputs) = ([count] if count else [] for count in apart)
  rows = np.split(kernel, inputs, axis=2)
  if beside:
    moved, others = rows
    rows[1] = np.concatenate([np.zeros_like(moved), others], axis=2)
  columns = zip(*(np.split(row, outputs, axis=3) for row in rows))
  return tuple(columns), tuple(np.split(bias, outputs))


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
    *others, last = (conv(*x) for x in zip(inputs, column, strict=True))
    last += summand.reshape((1, 1, 1, -1))
    outputs.append(functools.reduce(operator.add, others, last))
  return Parts(*outputs) if len(outputs) == 2 else outputs[0]
