"""Convolutions as PyTorch pads them, in the form each platform runs fastest."""

import itertools

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

kaiming_fan_out = nn.initializers.variance_scaling(2.0, 'fan_out', 'normal')


def convolution(features, kernel, stride=1, groups=1, **fields):
  """A square convolution, padded by half its kernel on every side.

  Args:
    features: number of output channels.
    kernel: side of the kernel.
    stride: of both axes.
    groups: of the channels, see `nn.Conv.feature_group_count`.
    **fields: other fields of `nn.Conv`, such as `dtype` and `name`. There is no
      bias by default.

  Returns:
    An `nn.Conv` from `[N, H, W, C]` to `[N, H / stride, W / stride, features]`.
  """
  return nn.Conv(
    features,
    (kernel, kernel),
    (stride, stride),
    padding=kernel // 2,
    feature_group_count=groups,
    kernel_init=kaiming_fan_out,
    conv_general_dilated=conv_or_product,
    **{'use_bias': False, **fields},
  )


def conv_or_product(x, kernel, strides, padding, **kwargs):
  """Computes a convolution in the form that the platform runs fastest.

  A 1x1 convolution is computed as a matrix product: on CPU this makes ResNets
  1.2 to 1.5 times faster, and a TPU compiles both to the same product. With a
  stride it stays a convolution, because XLA's compiler for GPUs crashes on a
  product of a sliced operand (openxla/xla issue 47381). A depthwise convolution
  is a sum of shifted products on CPU, where XLA's own is about 10 times slower.
  So is one whose result is no larger than its kernel, as in the last stage of
  frames of 96 pixels or less: from a map smaller than the kernel, XLA makes the
  kernel and the kernel the map, in mirror writing that only a plain loop reads
  on CPU. On maps of 2x2 and 512 channels that loop takes 50 times as long.
  """
  groups = kwargs['feature_group_count']

  def conv(x, kernel):
    return jax.lax.conv_general_dilated(x, kernel, strides, padding, **kwargs)

  def depthwise(x, kernel):
    return sum_of_products(x, kernel, strides, padding)

  def small(x, kernel):
    return sum_of_overlaps(x, kernel, strides, padding, kwargs.get('precision'))

  if kernel.shape[:2] == (1, 1) and groups == 1 and tuple(strides) == (1, 1):
    return jnp.einsum(
      'nhwc,cd->nhwd', x, kernel[0, 0], precision=kwargs.get('precision')
    )
  if groups > 1 and groups == kernel.shape[-1] == x.shape[-1]:
    return jax.lax.platform_dependent(x, kernel, cpu=depthwise, default=conv)
  result = jax.eval_shape(conv, x, kernel).shape
  if groups == 1 and np.prod(kernel.shape[:2]) >= np.prod(result[1:3]):
    return jax.lax.platform_dependent(x, kernel, cpu=small, default=conv)
  return conv(x, kernel)


def sum_of_products(x, kernel, strides, padding):
  """Computes a depthwise convolution, one element of the kernel at a time.

  Args:
    x: `[N, H, W, C]`, any float dtype; the sum is in float32.
    kernel: `[h, w, 1, C]`.
    strides: of H and W.
    padding: `(before, after)` of H and W.

  Returns:
    `[N, H', W', C]`, in the dtype of `x`.
  """
  x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
  sides = [
    (size - k) // stride * stride + 1
    for size, k, stride in zip(x.shape[1:3], kernel.shape[:2], strides)
  ]
  total = 0.0
  for i, j in np.ndindex(kernel.shape[:2]):
    view = x[:, i : i + sides[0] : strides[0], j : j + sides[1] : strides[1]]
    weight = kernel[i, j].reshape((1, 1, 1, -1)).astype(jnp.float32)
    total += view.astype(jnp.float32) * weight
  return total.astype(x.dtype)


def sum_of_overlaps(x, kernel, strides, padding, precision=None):
  """Computes a convolution, one element of the kernel at a time.

  An element meets the padding at some places of the result. Those are left out:
  on a map of 2x2 with a kernel of 3x3, 16 of 36 products are left.

  Args:
    x: `[N, H, W, C]`, any float dtype; the sum is in float32.
    kernel: `[h, w, C, D]`.
    strides: of H and W.
    padding: `(before, after)` of H and W.
    precision: of the products, see `jax.lax.Precision`.

  Returns:
    `[N, H', W', D]`, in the dtype of `x`.
  """
  rows, columns = (
    _overlaps(*axis)
    for axis in zip(x.shape[1:3], kernel.shape[:2], strides, padding)
  )
  total = 0.0
  for (i, row), (j, column) in itertools.product(rows, columns):
    product = jnp.einsum(
      'nhwc,cd->nhwd',
      x[:, row[0], column[0]],
      kernel[i, j],
      precision=precision,
      preferred_element_type=jnp.float32,
    )
    total += jnp.pad(product, ((0, 0), row[1], column[1], (0, 0)))
  return total.astype(x.dtype)


def _overlaps(size, kernel, stride, padding):
  """Where the elements of a kernel meet pixels, along an axis.

  Args:
    size: of the axis.
    kernel: its number of elements.
    stride: in pixels.
    padding: in pixels, `(before, after)`.

  Returns:
    `(element, (pixels, beside))` of each that meets any: a slice of the axis,
    and how many places of the result lie before and after its own.
  """
  places = (size + sum(padding) - kernel) // stride + 1
  found = []
  for element in range(kernel):
    offset = element - padding[0]  # from the place's first pixel
    met = [p for p in range(places) if 0 <= p * stride + offset < size]
    if met:
      first, last = met[0], met[-1]
      pixels = slice(
        first * stride + offset, last * stride + offset + 1, stride
      )
      found.append((element, (pixels, (first, places - 1 - last))))
  return found
