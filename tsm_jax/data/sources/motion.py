"""The quickstart's dataset: videos whose class is the direction of time.

Classes come in pairs: a clip of one played backwards is a clip of the other.
Every drawn scene is written twice, forwards and backwards, into the same split
and without loss, so the two of a pair hold the same set of frames. A network
that averages over frames gives both the same logits, and at most one of the
two can be right: its ceiling is exactly 50 %.
"""

import hashlib
import pathlib
import shutil

import cv2
import numpy as np

from tsm_jax.data.clips import videos

VERSION = 1  # of the drawing: another one is another dataset
PAIRS = (
  ('moves left', 'moves right'),
  ('moves up', 'moves down'),
  ('grows', 'shrinks'),
  ('turns clockwise', 'turns counter-clockwise'),
)
# Symmetric sampling: the centres of T = 8 segments of 24 frames are the same
# frames when the clip is played backwards.
NUM_FRAMES = 24
SIZE = 56  # pixels, of both sides
SCENES = {'train': 320, 'val': 32}  # of each pair; two clips a scene

# Outlines in a unit circle, none of them equal to itself turned.
SPRITES = (
  ((-1, -0.5), (0.2, -0.5), (0.2, -1), (1, 0), (0.2, 1), (0.2, 0.5), (-1, 0.5)),
  ((-0.8, -1), (-0.1, -1), (-0.1, 0.3), (0.9, 0.3), (0.9, 1), (-0.8, 1)),
  ((-0.9, -0.4), (1, 0), (-0.9, 0.4)),
  ((-1, -0.7), (1, -0.7), (1, 0), (0.3, 0), (0.3, 0.9), (-1, 0.9)),
)


def num_train():
  """`(classes, training clips)` of the whole dataset."""
  return 2 * len(PAIRS), 2 * len(PAIRS) * SCENES['train']


def make(folder, scenes=None, seed=0):
  """Writes the videos as `folder/{train,val}/{class}/{scene}.mp4`.

  Args:
    folder: made by this call, complete or not at all.
    scenes: mapping from split to the number of scenes of each pair.
    seed: of everything that is random.

  Returns:
    `folder`, as a path.
  """
  folder = pathlib.Path(folder)
  if folder.exists():
    return folder
  unfinished = folder.with_name(folder.name + '.unfinished')
  shutil.rmtree(unfinished, ignore_errors=True)
  for split, count in (scenes or SCENES).items():
    for pair, names in enumerate(PAIRS):
      for name in names:
        (unfinished / split / name).mkdir(parents=True)
      for scene in range(count):
        key = hashlib.sha256(f'{seed} {split} {pair} {scene}'.encode()).digest()
        frames = draw(np.random.default_rng(list(key)), pair)
        for name, clip in zip(names, (frames, frames[::-1])):
          videos.write(unfinished / split / name / f'{scene:05d}.mp4', clip)
  unfinished.rename(folder)
  return folder


def draw(rng, pair):
  """The frames of one scene of the first class of a pair."""
  sprite = np.array(SPRITES[rng.integers(len(SPRITES))])
  background = _background(rng)
  color = _contrasting_color(rng, background)
  t = np.linspace(-0.5, 0.5, NUM_FRAMES) * rng.uniform(0.6, 1)  # its speed
  zero = np.zeros_like(t)
  x, y, angle, log_size = zero, zero, zero, zero
  if pair == 0:
    x = -0.5 * t
  elif pair == 1:
    y = -0.5 * t
  elif pair == 2:
    log_size = 1.1 * t
  else:
    angle = 2.4 * t  # radians; y points down, so this turns clockwise
  # Only the rim shows a turn, hence the larger sprites there.
  radius = rng.uniform(0.14, 0.2) * (1.8 if pair == 3 else 1) * np.exp(log_size)
  margin = 0.5 - radius.max() - max(abs(x).max(), abs(y).max())
  x, y = (0.5 + v + rng.uniform(-1, 1) * max(margin, 0) for v in (x, y))
  angle = angle + rng.uniform(0, 2 * np.pi)
  return [
    _paint(background, color, _place(sprite, *pose))
    for pose in zip(x, y, radius, angle)
  ]


def _place(sprite, x, y, radius, angle):
  """The corners of a sprite in pixels, turned, scaled and moved."""
  turn = np.array(
    [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
  )
  return (sprite @ turn * radius + (x, y)) * SIZE


def _paint(background, color, points):
  image = background.copy()
  cv2.fillPoly(
    image,
    [np.round(points * 16).astype(np.int32)],
    color,
    lineType=cv2.LINE_AA,
    shift=4,
  )
  return image


def _background(rng):
  """A smooth random gradient."""
  corners = rng.integers(0, 256, (2, 2, 3)).astype(np.float32)
  corners = 0.4 * corners + 0.6 * corners.mean(axis=(0, 1))
  image = cv2.resize(corners, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
  return image.astype(np.uint8)


def _contrasting_color(rng, background):
  mean = background.mean(axis=(0, 1))
  while True:
    color = rng.integers(0, 256, 3)
    if abs(color - mean).sum() > 200:
      return tuple(int(c) for c in color)
