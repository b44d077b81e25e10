"""Convolutions as PyTorch pads them, in the form each platform runs fastest."""

import functools

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from tsm_jax.models.layers import depthwise

# Some layers take another form on CPU where a side of their input or its number
# of channels is larger. Those of the quickstart stay as they are, and so do its
# numbers. Frames of 72 pixels begin with a map of 36.
SMALL_MAP = 36
FEW_CHANNELS = 64
# Inputs of a result, height by width by channels of the kernel: those of a 3x3
# at colours. A fusion reads each of them for itself.
FEW_INPUTS = 27

kaiming_fan_out = nn.initializers.variance_scaling(2.0, 'fan_out', 'normal')


class Conv(nn.Conv):
  """A convolution that may take or give features in two arrays.

  Attributes:
    apart: how many of the first channels of its input and of its output are the
      moved ones of `parts.Parts`, where nothing trains, see `folding`.
    beside: whether the other part of its input is all channels, of which it
      takes those that do not move.
  """

  apart: tuple[int, int] = (0, 0)
  beside: bool = False


def convolution(features, kernel, stride=1, groups=1, **fields):
  """A square convolution, padded by half its kernel on every side.

  Args:
    features: number of output channels.
    kernel: side of the kernel.
    stride: of both axes.
    groups: of the channels, see `nn.Conv.feature_group_count`.
    **fields: other fields of `Conv`, such as `dtype` and `name`. There is no
      bias by default.

  Returns:
    A `Conv` from `[N, H, W, C]` to `[N, H / stride, W / stride, features]`.
  """
  return Conv(
    features,
    (kernel, kernel),
    (stride, stride),
    padding=kernel // 2,
    feature_group_count=groups,
    kernel_init=kaiming_fan_out,
    **{
      'use_bias': False,
      'conv_general_dilated': conv_or_product,
      **fields,
    },
  )


def form(platform):
  """What computes the convolutions of a platform, as `nn.Conv` calls it.

  A TPU's compiler lays the features of a convolution out with the frames next
  to the channels, and those of a product row by row, so that it copies them
  between a 3x3 and a 1x1 that is a product. It also makes a shift a part of a
  convolution behind it, but not of a product.

  Args:
    platform: 'cpu', 'gpu', 'tpu', or None for any.
  """
  return jax.lax.conv_general_dilated if platform == 'tpu' else conv_or_product


def conv_or_product(x, kernel, strides, padding, **kwargs):
  """Computes a convolution in the form that the platform runs fastest.

  Which is a convolution on a TPU, see `form`. Elsewhere one of 1x1 is a matrix
  product: on CPU this makes ResNets 1.2 to 1.5 times faster. There its operands
  are matrices, so that the gradient of the kernel is one product, too, and no
  sum over images. With a stride it stays a convolution elsewhere, because XLA's
  compiler for GPUs crashes on a product of a sliced operand (openxla/xla issue
  47381), and for small features, see `is_large`. A depthwise convolution is a
  sum of shifted products on CPU, where XLA's own is about 10 times slower, and
  has gradients of its own there.
  One whose result is smaller than its kernel, as in the last stage of frames
  of 64 pixels or less, is a product of patches there. XLA would exchange a
  kernel and a smaller map, and only a plain loop of its own for CPUs computes
  what comes out: on maps of 2x2 and 512 channels, it takes 40 times as long.
  A 3x3 at the colours of large frames is a sum of products there, too: the
  operands of a matrix product would have to be arranged first. `jax.jvp` goes
  through neither of these two sums.
  """
  groups = kwargs['feature_group_count']

  def conv(x, kernel):
    return jax.lax.conv_general_dilated(x, kernel, strides, padding, **kwargs)

  def product(x, kernel):
    return jnp.einsum(
      'nhwc,cd->nhwd', x, kernel[0, 0], precision=kwargs.get('precision')
    )

  places = {'strides': tuple(strides), 'padding': tuple(map(tuple, padding))}
  by_channel = functools.partial(depthwise.convolve, **places)
  by_input = functools.partial(sum_over_inputs, **places)

  def small(x, kernel):
    return product_of_patches(
      x, kernel, strides, padding, kwargs.get('precision')
    )

  if kernel.shape[:2] == (1, 1) and groups == 1:
    rows = functools.partial(
      product_of_rows, strides=strides, precision=kwargs.get('precision')
    )
    if tuple(strides) == (1, 1):
      return jax.lax.platform_dependent(x, kernel, cpu=rows, default=product)
    if is_large(x):
      return jax.lax.platform_dependent(x, kernel, cpu=rows, default=conv)
  if groups > 1 and groups == kernel.shape[-1] == x.shape[-1]:
    return jax.lax.platform_dependent(x, kernel, cpu=by_channel, default=conv)
  result = jax.eval_shape(conv, x, kernel).shape
  if groups == 1 and np.prod(kernel.shape[:2]) > np.prod(result[1:3]):
    return jax.lax.platform_dependent(x, kernel, cpu=small, default=conv)
  if groups == 1 and is_large(x) and np.prod(kernel.shape[:3]) <= FEW_INPUTS:
    return jax.lax.platform_dependent(x, kernel, cpu=by_input, default=conv)
  return conv(x, kernel)


def is_large(x):
  """Whether features `[N, H, W, C]` are many for a CPU.

  >>> is_large(np.zeros((1, 37, 1, 1))), is_large(np.zeros((1, 36, 36, 64)))
  (True, False)
  """
  *sides, channels = x.shape[1:]
  return max(sides, default=1) > SMALL_MAP or channels > FEW_CHANNELS


def product_of_rows(x, kernel, strides=(1, 1), precision=None):
  """Computes a 1x1 convolution as the product of two matrices.

  Args:
    x: `[N, H, W, C]`, any float dtype.
    kernel: `[1, 1, C, D]`.
    strides: of H and W.
    precision: of the product, see `jax.lax.Precision`.

  Returns:
    `[N, H', W', D]`, in the dtype of `x`.
  """
  x = x[:, :: strides[0], :: strides[1]]
  rows = x.reshape((-1, x.shape[-1]))
  y = jnp.matmul(rows, kernel[0, 0], precision=precision)
  return y.reshape((*x.shape[:-1], -1))


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def sum_over_inputs(x, kernel, strides, padding):
  """Computes a convolution, one input of a result at a time.

  Its gradients are those of the convolution.

  Args:
    x: `[N, H, W, C]`, any float dtype; the sum is in float32.
    kernel: `[h, w, C, D]`.
    strides: of H and W; a tuple.
    padding: `(before, after)` of H and W; a tuple of tuples.

  Returns:
    `[N, H', W', D]`, in the dtype of `x`.
  """
  total = 0.0
  for (i, j), view in depthwise.views(x, kernel.shape, strides, padding):
    for c in range(x.shape[-1]):
      weights = kernel[i, j, c].reshape((1, 1, 1, -1)).astype(jnp.float32)
      total += view[..., c : c + 1].astype(jnp.float32) * weights
  return total.astype(x.dtype)


def _sum_forward(x, kernel, strides, padding):
  return sum_over_inputs(x, kernel, strides, padding), (x, kernel)


def _sum_backward(strides, padding, kept, gradient):
  def conv(x, kernel):
    numbers = 'NHWC', 'HWIO', 'NHWC'
    return jax.lax.conv_general_dilated(
      x, kernel, strides, padding, dimension_numbers=numbers
    )

  return jax.vjp(conv, *kept)[1](gradient)


sum_over_inputs.defvjp(_sum_forward, _sum_backward)


def product_of_patches(x, kernel, strides, padding, precision=None):
  """Computes a convolution as one matrix product.

  Args:
    x: `[N, H, W, C]`, any float dtype.
    kernel: `[h, w, C, D]`.
    strides: of H and W.
    padding: `(before, after)` of H and W.
    precision: of the product, see `jax.lax.Precision`.

  Returns:
    `[N, H', W', D]`, in the dtype of `x`.
  """
  elements, views = zip(*depthwise.views(x, kernel.shape, strides, padding))
  (top, left), (bottom, right) = elements[0], elements[-1]
  weights = kernel[top : bottom + 1, left : right + 1]
  return jnp.einsum(
    'nhwc,cd->nhwd',
    jnp.concatenate(views, -1),
    weights.reshape((-1, kernel.shape[-1])),
    precision=precision,
  )
