"""How frames enter a network that leaves: normalised, or as pixels.

Frames are cut and normalised as rows of bytes. With pixels of three numbers,
runtimes take longer for that than for some layers of the network.

For a network of 8 bits, the normalisation becomes part of the first layer. A
pixel has 8 bits; once normalised, it would be rounded to other 8 bits, and
frames of float32 would be written and read in between.
"""

import contextlib

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from tsm_jax.data.input import cropping


def normalized(frames, preprocessing):
  """`cropping.normalize` of the centres, as a difference and a product.

  Args:
    frames: uint8 `[..., F, F, 3]`.
    preprocessing: a `preprocess.Preprocessing` of RGB frames.

  Returns:
    float32 `[..., S, S, 3]`.
  """
  frames = cropping.centre(frames, preprocessing.image_size)
  if preprocessing.channel_order == 'bgr':
    frames = frames[..., ::-1]
  *others, width, channels = frames.shape
  mean, std = (
    np.tile(np.broadcast_to(x, channels), width).reshape(
      (1,) * len(others) + (-1,)
    )
    for x in (preprocessing.mean, preprocessing.std)
  )
  rows = frames.reshape((*others, -1)).astype(np.float32)
  # Not a sum, which a quantiser would give 8 bits as those of the features:
  # they would not be the 8 bits of the pixels.
  rows = rows - np.float32(mean * preprocessing.divisor)
  rows = rows * np.float32(1 / (std * preprocessing.divisor))
  return rows.reshape(frames.shape)


@contextlib.contextmanager
def of_pixels(preprocessing, together=1):
  """Lets the first convolution that is applied take the pixels of frames.

  Around `folding.folded`, with weights that are NumPy arrays. The answers are
  those for normalised frames, except that what surrounds a frame is the nearest
  pixel of whole numbers to what is zero, once normalised.

  Args:
    preprocessing: a `preprocess.Preprocessing` of RGB frames.
    together: how many outputs beside each other are computed as one with more
      channels, where their number permits it: some runtimes gather few long
      pieces faster than many short ones.
  """
  is_first = True

  def convolve(call, args, kwargs, context):
    nonlocal is_first
    if not is_first or not isinstance(context.module, nn.Conv):
      return call(*args, **kwargs)
    is_first = False
    return _convolve(context.module, args[0], preprocessing, together)

  with nn.intercept_methods(convolve):
    yield


def _convolve(module, x, preprocessing, together):
  """A layer of `convolution.convolution` of pixels float32 `[N, H, W, 3]`."""
  kernel, bias, zero = _weights(module.variables['params'], preprocessing)
  (high, wide), pad, strides = kernel.shape[:2], module.padding, module.strides
  rows, columns = (
    (n + 2 * pad - k) // s + 1
    for n, k, s in zip(x.shape[1:3], (high, wide), strides)
  )
  together = together if columns % together == 0 else 1
  # So many pixels beside each other become one of more channels, which costs
  # nothing: in memory, they are that already.
  joined = strides[1] * together
  kernel = _joined(kernel, strides[1], together)
  width = joined * (columns // together + kernel.shape[1] - 1)
  after = (rows - 1) * strides[0] + high - x.shape[1] - pad
  x = _bordered(x, zero, 1, pad, max(after, 0))
  x = _bordered(x, zero, 2, pad, width - x.shape[2] - pad)
  x = x.reshape((*x.shape[:2], width // joined, kernel.shape[2]))
  y = jax.lax.conv_general_dilated(
    x,
    kernel,
    (strides[0], 1),
    'VALID',
    dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
  )
  y = y + np.tile(bias, together).reshape((1, 1, 1, -1))
  return y.reshape((*y.shape[:2], columns, bias.size))


def _weights(params, preprocessing):
  """The kernel and bias for pixels, and the pixel that is nearest to zero."""
  kernel = np.float64(params['kernel'])
  mean, std = (
    np.broadcast_to(np.float64(x), kernel.shape[2:3]) * preprocessing.divisor
    for x in (preprocessing.mean, preprocessing.std)
  )
  kernel = kernel / std[:, None]
  bias = params['bias'] - (kernel * mean[:, None]).sum(axis=(0, 1, 2))
  if preprocessing.channel_order == 'bgr':
    kernel, mean = kernel[:, :, ::-1], mean[::-1]
  return np.float32(kernel), np.float32(bias), np.float32(np.round(mean))


def _joined(kernel, stride, together):
  """A kernel `[h, w, C, O]` for pixels of which several are one.

  Returns:
    `[h, w', stride * together * C, together * O]`; what an output does not see
    is 0.
  """
  high, wide, channels, outputs = kernel.shape
  joined = stride * together
  count = -(-((together - 1) * stride + wide) // joined)
  found = np.zeros(
    (high, count * joined, channels, together, outputs), np.float32
  )
  for i in range(together):
    found[:, i * stride : i * stride + wide, :, i] = kernel
  return found.reshape((high, count, joined * channels, together * outputs))


def _bordered(x, pixel, axis, before, after):
  """`[N, H, W, 3]` with more rows or columns of one pixel, or fewer."""
  if after < 0:
    x, after = jax.lax.slice_in_dim(x, 0, x.shape[axis] + after, axis=axis), 0
  first, last = (
    _filled(pixel, (*x.shape[:axis], count, *x.shape[axis + 1 :]))
    for count in (before, after)
  )
  parts = [p for p, n in ((first, before), (x, 1), (last, after)) if n]
  return jnp.concatenate(parts, axis) if len(parts) > 1 else x


def _filled(pixel, shape):
  """A constant where the batch is a number."""
  if all(isinstance(n, int) for n in shape):
    return np.tile(pixel, (*shape[:-1], 1))
  return jnp.broadcast_to(pixel, shape)
