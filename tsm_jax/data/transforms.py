"""Where frames are cropped, and how a batch becomes the network's input.

The host crops and resizes uint8 frames; what is cheap on the accelerator
(flips, normalisation) happens there, inside jit.
"""

import jax
import jax.numpy as jnp
import numpy as np

from tsm_jax.data import videos

# Positions of a training crop, in quarters of the space that is left over.
POSITIONS = (
  *((0, 0), (4, 0), (0, 4), (4, 4), (2, 2)),
  *((0, 2), (4, 2), (2, 4), (2, 0)),
  *((1, 1), (3, 1), (1, 3), (3, 3)),
)


def train_frames(frames, rng, image_size, scales):
  """A multi-scale crop, the same for all frames of a clip.

  Args:
    frames: uint8 `[H, W, 3]` each.
    rng: numpy Generator.
    image_size: S, both sides of the result in pixels.
    scales: see `multi_scale_crop`.

  Returns:
    uint8 `[T, S, S, 3]`.
  """
  height, width = frames[0].shape[:2]
  x, y, w, h = multi_scale_crop(rng, width, height, image_size, scales)
  return np.stack(
    [
      videos.resize(frame[y : y + h, x : x + w], image_size, image_size)
      for frame in frames
    ]
  )


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
  sides = [int(min(width, height) * scale) for scale in scales]
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


def eval_frames(frames, image_size):
  """The centre crop after scaling the short side to 256 / 224 of it.

  Args:
    frames: uint8 `[H, W, 3]` each.
    image_size: S, both sides of the result in pixels.

  Returns:
    uint8 `[T, S, S, 3]`.
  """
  height, width = frames[0].shape[:2]
  w, h = videos.short_side_size(width, height, image_size * 256 // 224)
  x, y = (round((side - image_size) / 2) for side in (w, h))
  return np.stack(
    [
      videos.resize(frame, w, h)[y : y + image_size, x : x + image_size]
      for frame in frames
    ]
  )


def normalize(frames, mean, std):
  """uint8 `[..., 3]` to float32: `(frames / 255 - mean) / std`."""
  mean, std = (
    jnp.asarray(v, jnp.float32).reshape((1,) * (frames.ndim - 1) + (-1,))
    for v in (mean, std)
  )
  return (frames.astype(jnp.float32) / 255 - mean) / std


def random_flip(key, frames):
  """Mirrors each clip of `[B, T, H, W, C]` left to right, or not, at random."""
  flip = jax.random.bernoulli(key, shape=(frames.shape[0], 1, 1, 1, 1))
  return jnp.where(flip, frames[:, :, :, ::-1], frames)
