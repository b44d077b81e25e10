"""Depthwise convolutions as sums of products, which are fast on CPUs."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def convolve(x, kernel, strides, padding):
  """`sum_of_products`, with gradients that are sums of products, too.

  Args:
    x: see `sum_of_products`.
    kernel: see `sum_of_products`.
    strides: of H and W; a tuple.
    padding: `(before, after)` of H and W; a tuple of tuples.

  Returns:
    See `sum_of_products`.
  """
  return sum_of_products(x, kernel, strides, padding)


def _forward(x, kernel, strides, padding):
  return convolve(x, kernel, strides, padding), (x, kernel)


def _backward(strides, padding, kept, gradient):
  x, kernel = kept
  of_kernel = _of_kernel(x, kernel, gradient, strides, padding)
  # JAX would add up what every element of the kernel gives each pixel, most of
  # it padding. It is a convolution again: of the gradient, the pixels a stride
  # apart, by the turned kernel.
  spread = []
  for size, out, k, stride, (before, _) in zip(
    x.shape[1:], gradient.shape[1:], kernel.shape, strides, padding[:2]
  ):
    low = k - 1 - before
    high = size + k - 1 - low - ((out - 1) * stride + 1)
    spread.append((low, high, stride - 1))
  zero = jnp.zeros((), gradient.dtype)
  gradient = jax.lax.pad(gradient, zero, [(0, 0, 0), *spread, (0, 0, 0)])
  no_padding = ((0, 0), (0, 0))
  of_x = sum_of_products(gradient, kernel[::-1, ::-1], (1, 1), no_padding)
  return of_x, of_kernel


convolve.defvjp(_forward, _backward)


def _of_kernel(x, kernel, gradient, strides, padding):
  """The gradient of a depthwise kernel: its products, summed over all pixels.

  Some frames that follow each other are added up at once, pixel by pixel, as
  XLA sums one array faster than nine products. They are of one device.
  """
  frames = len(x) // math.gcd(len(x), jax.device_count())
  together = max(n for n in range(1, 9) if not frames % n)
  sums, elements = [], []
  for element, view in views(x, kernel.shape, strides, padding):
    products = view.astype(jnp.float32) * gradient.astype(jnp.float32)
    if together > 1:
      groups = products.reshape((-1, together, *products.shape[1:]))
      products = sum(groups[:, i] for i in range(together))
    else:  # nine whole products at once would take much memory
      products = jnp.sum(products, axis=(0, 1, 2), keepdims=True)
    sums.append(products)
    elements.append(element)
  sums = jnp.sum(jnp.stack(sums), axis=(1, 2, 3)).astype(kernel.dtype)
  rows, columns = zip(*elements)
  return jnp.zeros_like(kernel).at[rows, columns, 0].set(sums)


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
  total = 0.0
  for (i, j), view in views(x, kernel.shape, strides, padding):
    weight = kernel[i, j].reshape((1, 1, 1, -1)).astype(jnp.float32)
    total += view.astype(jnp.float32) * weight
  return total.astype(x.dtype)


def views(x, kernel_shape, strides, padding):
  """What each element of a kernel is multiplied by.

  Returns:
    A list of `((i, j), view)`, row by row; a view is `[N, H', W', C]`. Outer
    rows and columns that meet nothing but padding are left out.
  """
  axes = list(zip(x.shape[1:3], kernel_shape[:2], strides, padding))
  x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
  spans = [  # of the first pixels of all places, on a padded axis
    (size + sum(pad) - k) // stride * stride + 1
    for size, k, stride, pad in axes
  ]
  (height, width), views = spans, []
  for i, j in np.ndindex(kernel_shape[:2]):
    if all(
      pad[0] - span < start < pad[0] + size
      for start, span, (size, _, _, pad) in zip((i, j), spans, axes)
    ):
      view = x[:, i : i + height : strides[0], j : j + width : strides[1]]
      views.append(((i, j), view))
  return views
