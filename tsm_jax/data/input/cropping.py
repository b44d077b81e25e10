"""Where frames are cropped, and how a batch becomes the network's input.

The host crops and resizes uint8 frames; what is cheap on the accelerator
(normalisation, and what augment.py does) happens there, inside jit.
"""

import jax.numpy as jnp
import numpy as np

from tsm_jax import errors
from tsm_jax.data.clips import pixels, sizes

# Positions of a training crop, in quarters of the space that is left over.
POSITIONS = (
  *((0, 0), (4, 0), (0, 4), (4, 4), (2, 2)),
  *((0, 2), (4, 2), (2, 4), (2, 0)),
  *((1, 1), (3, 1), (1, 3), (3, 3)),
)

CROPS = (1, 3, 5, 10)  # of a clip, at evaluation

# Of training crops; evaluation is always exact.
RESIZES = {'exact': pixels.resize, 'fast': pixels.resize_fast}


def check_resize(name):
  """Raises InputError unless `data.resize` is a key of `RESIZES`."""
  if name not in RESIZES:
    raise errors.InputError(
      f'data.resize is {name!r}; choose from {", ".join(map(repr, RESIZES))}.'
    )


def train_frames(frames, rng, image_size, scales, resize='exact'):
  """A multi-scale crop, the same for all frames of a clip.

  Args:
    frames: uint8 `[H, W, 3]` each, or `[H, W, 2]` of flow.
    rng: numpy Generator.
    image_size: S, both sides of the result in pixels.
    scales: see `multi_scale_crop`.
    resize: a key of `RESIZES`.

  Returns:
    uint8 `[T, S, S, 3]`, or 2 channels of flow.
  """
  height, width = frames[0].shape[:2]
  x, y, w, h = multi_scale_crop(rng, width, height, image_size, scales)
  size = (image_size, image_size, *frames[0].shape[2:])
  clip = np.empty((len(frames), *size), np.uint8)
  for scaled, frame in zip(clip, frames):
    scaled[:] = RESIZES[resize](
      frame[y : y + h, x : x + w], image_size, image_size
    )
  return clip


def multi_scale_crop(rng, width, height, image_size, scales):
  """A random crop box, by the official training's rule.

  Sides are `int(short side * scale)`, and `image_size` where that is less than
  three pixels away; the two sides differ by at most one step of `scales`. The
  position is one of 13.

  Args:
    rng: numpy Generator.
    width: of the frame, pixels.
    height: of the frame, pixels.
    image_size: of the result, pixels.
    scales: decreasing shares of the short side.

  Returns:
    `(x, y, width, height)` of the box.
  """
  sides = [max(int(min(width, height) * scale), 1) for scale in scales]
  sides = [image_size if abs(s - image_size) < 3 else s for s in sides]
  # A side that snapped to image_size may stick out of a frame a little smaller.
  pairs = [
    (min(sides[j], width), min(sides[i], height))
    for i in range(len(sides))
    for j in range(len(sides))
    if abs(i - j) <= 1
  ]
  w, h = pairs[rng.integers(len(pairs))]
  right, down = POSITIONS[rng.integers(len(POSITIONS))]
  return right * ((width - w) // 4), down * ((height - h) // 4), w, h


def full_size(image_size):
  """Pixels of the short side at evaluation: 256 for crops of 224."""
  return image_size * 256 // 224


def eval_crops(
  frames, image_size, crops=1, full_resolution=False, modality='rgb'
):
  """Crops of the frames after scaling their short side to 256 / 224 of S.

  Args:
    frames: uint8 `[H, W, 3]` each, or `[H, W, 2]` of flow.
    image_size: S, both sides of a crop in pixels.
    crops: see `crop_positions`; of 10, every second one is mirrored.
    full_resolution: whether the crops are as large as the scaled short side,
      256 for 224.
    modality: see `mirror`.

  Returns:
    uint8 `[crops, T, S, S, 3]`, or 2 channels of flow.

  Raises:
    ValueError: as `crop_positions`.
  """
  height, width = frames[0].shape[:2]
  short_side = full_size(image_size)
  w, h = sizes.with_short_side(width, height, short_side)
  size = short_side if full_resolution else image_size
  places = crop_positions(w, h, size, crops)
  cut = [[] for _ in places]
  for frame in frames:  # one at a time: a scaled one may be large
    scaled = pixels.resize(frame, w, h)
    for crop, (x, y) in zip(cut, places):
      crop.append(scaled[y : y + size, x : x + size].copy())
  views = []
  for crop in map(np.stack, cut):
    views.append(crop)
    if crops == 10:
      views.append(mirror(views[-1], modality))
  return np.stack(views)


def eval_square(frame, image_size):
  """The part of a frame in which `centre` finds the one that evaluation sees.

  Args:
    frame: uint8 `[H, W, C]`, as stored.
    image_size: S, both sides of the centre crop in pixels.

  Returns:
    uint8 `[F, F, C]`, where F is `full_size(S)`: the short side, scaled.

  >>> frame = np.arange(64 * 90 * 3, dtype=np.uint8).reshape((64, 90, 3))
  >>> square = eval_square(frame, 32)
  >>> square.shape
  (36, 36, 3)
  >>> bool((centre(square, 32) == eval_crops([frame], 32)[0, 0]).all())
  True
  """
  height, width = frame.shape[:2]
  side = full_size(image_size)
  w, h = sizes.with_short_side(width, height, side)
  ((x, y),) = crop_positions(w, h, image_size, 1)
  ((inside, _),) = crop_positions(side, side, image_size, 1)
  scaled = pixels.resize(frame, w, h)
  return scaled[y - inside :, x - inside :][:side, :side].copy()


def centre(squares, image_size):
  """The centre `[..., S, S, C]` of squares, NumPy or JAX arrays.

  It is cut out of rows of bytes: exported, a runtime copies them faster than
  pixels of three.
  """
  *others, side, channels = squares.shape
  ((x, y),) = crop_positions(side, side, image_size, 1)
  rows = squares.reshape((*others, side * channels))
  rows = rows[
    ..., y : y + image_size, x * channels : (x + image_size) * channels
  ]
  return rows.reshape((*rows.shape[:-1], image_size, channels))


def crop_positions(width, height, size, crops):
  """Where the official test takes its square crops from a scaled frame.

  With integer quarters of the space that is left over, as in training, so that
  a crop at the right may end up to three pixels before the border.

  Args:
    width: of the frame, pixels.
    height: of the frame, pixels.
    size: of the crop, pixels, at most the short side.
    crops: 1 (centre), 3 (left, right, centre of the middle row), 5 (upper left,
      upper right, lower left, lower right, centre) or 10 (those and their
      mirror images).

  Returns:
    `(x, y)` of each crop, without mirrors.

  Raises:
    ValueError: for another number of crops.
  """
  if crops not in CROPS:
    raise ValueError(f'crops is {crops}; choose from {CROPS}.')
  if crops == 1:
    return [(round((width - size) / 2), round((height - size) / 2))]
  quarters = ((0, 2), (4, 2), (2, 2)) if crops == 3 else POSITIONS[:5]
  right, down = (width - size) // 4, (height - size) // 4
  return [(x * right, y * down) for x, y in quarters]


def mirror(frames, modality='rgb'):
  """Mirrors frames left to right.

  Args:
    frames: uint8 `[..., H, W, C]`, a NumPy or JAX array.
    modality: of 'flow', the even channels hold horizontal motion around 127.5,
      which changes its sign: 255 less the value.
  """
  frames = frames[..., ::-1, :]
  if modality != 'flow':
    return frames
  sign = np.tile(np.array([255, 0], np.uint8), frames.shape[-1] // 2)
  return frames ^ sign.reshape((*(1,) * (frames.ndim - 1), -1))


def normalize(
  frames, mean, std, divisor=255.0, channel_order='rgb', modality='rgb'
):
  """The network's input: `(frames / divisor - mean) / std`, float32.

  Args:
    frames: uint8 `[..., C]`; for 'rgb_diff' six RGB frames; from each but
      the first the one before it is subtracted, which leaves `[..., 15]`.
    mean: one number, or one of each channel.
    std: of all channels, or of each.
    divisor: of pixel values.
    channel_order: 'rgb', or 'bgr' to turn the colours around before the rest.
    modality: of the frames.
  """
  mean, std = (
    jnp.asarray(v, jnp.float32).reshape((1,) * (frames.ndim - 1) + (-1,))
    for v in (mean, std)
  )
  if channel_order == 'bgr' and modality != 'flow':
    images = frames.reshape((*frames.shape[:-1], -1, 3))
    frames = images[..., ::-1].reshape(frames.shape)
  frames = frames.astype(jnp.float32)
  if modality == 'rgb_diff':
    frames = frames[..., 3:] - frames[..., :-3]
  return (frames / divisor - mean) / std
