"""What the drawn datasets share: sprites, seeds, and a folder that is whole."""

import contextlib
import hashlib
import shutil

import cv2
import numpy as np

SIZE = 56  # pixels, of both sides
CONTRAST = 200  # least difference of a colour and a background, of 3 * 255

# Outlines in a unit circle, none of them equal to itself turned.
SPRITES = (
  ((-1, -0.5), (0.2, -0.5), (0.2, -1), (1, 0), (0.2, 1), (0.2, 0.5), (-1, 0.5)),
  ((-0.8, -1), (-0.1, -1), (-0.1, 0.3), (0.9, 0.3), (0.9, 1), (-0.8, 1)),
  ((-0.9, -0.4), (1, 0), (-0.9, 0.4)),
  ((-1, -0.7), (1, -0.7), (1, 0), (0.3, 0), (0.3, 0.9), (-1, 0.9)),
)


@contextlib.contextmanager
def whole(folder):
  """A new folder to write into, which becomes `folder` if all goes well."""
  unfinished = folder.with_name(folder.name + '.unfinished')
  shutil.rmtree(unfinished, ignore_errors=True)
  unfinished.mkdir(parents=True)
  yield unfinished
  unfinished.rename(folder)


def generator(*key):
  """A NumPy Generator that depends on the numbers and words of `key` alone."""
  text = ' '.join(map(str, key))
  return np.random.default_rng(list(hashlib.sha256(text.encode()).digest()))


def choose(rng):
  """The outline of a random sprite, `[N, 2]`."""
  return np.array(SPRITES[rng.integers(len(SPRITES))])


def place(sprite, x, y, radius, angle):
  """The corners of a sprite in pixels, turned, scaled and moved.

  Args:
    sprite: `[N, 2]` in a unit circle.
    x: of its centre, a share of the picture.
    y: of its centre, downwards.
    radius: a share of the picture.
    angle: radians, clockwise.
  """
  turn = np.array(
    [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
  )
  return (sprite @ turn * radius + (x, y)) * SIZE


def paint(background, color, points):
  """A copy of `background`, `[H, W, 3]` uint8, with a polygon on it."""
  image = background.copy()
  cv2.fillPoly(
    image,
    [np.round(points * 16).astype(np.int32)],
    color,
    lineType=cv2.LINE_AA,
    shift=4,
  )
  return image


def background(rng):
  """A smooth random gradient, `[SIZE, SIZE, 3]` uint8."""
  corners = rng.integers(0, 256, (2, 2, 3)).astype(np.float32)
  corners = 0.4 * corners + 0.6 * corners.mean(axis=(0, 1))
  image = cv2.resize(corners, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
  return image.astype(np.uint8)


def contrasting_color(rng, background):
  """A random colour that can be seen on a background, three ints."""
  while True:
    color = rng.integers(0, 256, 3)
    if contrasts(color, background):
      return tuple(int(c) for c in color)


def contrasts(color, background):
  """Whether a colour can be seen on a background."""
  return abs(color - background.mean(axis=(0, 1))).sum() > CONTRAST
