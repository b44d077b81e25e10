"""The quickstart's dataset: videos whose class is the direction of time.

Classes come in pairs: a clip of one played backwards is a clip of the other.
Every drawn scene is written twice, forwards and backwards, into the same split
and without loss, so the two of a pair hold the same set of frames. A network
that averages over frames gives both the same logits, and at most one of the
two can be right: its ceiling is exactly 50 %.
"""

import pathlib

import numpy as np

from tsm_jax.data.clips import videos
from tsm_jax.data.sources.drawn import drawing

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
SCENES = {'train': 320, 'val': 32}  # of each pair; two clips a scene


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
  with drawing.whole(folder) as unfinished:
    for split, count in (scenes or SCENES).items():
      for pair, names in enumerate(PAIRS):
        for name in names:
          (unfinished / split / name).mkdir(parents=True)
        for scene in range(count):
          frames = draw(drawing.generator(seed, split, pair, scene), pair)
          for name, clip in zip(names, (frames, frames[::-1])):
            path = unfinished / split / name / f'{scene:05d}.mp4'
            videos.write(path, clip)
  return folder


def draw(rng, pair):
  """The frames of one scene of the first class of a pair."""
  sprite = drawing.choose(rng)
  background = drawing.background(rng)
  color = drawing.contrasting_color(rng, background)
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
  # Only the rim shows a turn, hence the larger drawing there.
  radius = rng.uniform(0.14, 0.2) * (1.8 if pair == 3 else 1) * np.exp(log_size)
  margin = 0.5 - radius.max() - max(abs(x).max(), abs(y).max())
  x, y = (0.5 + v + rng.uniform(-1, 1) * max(margin, 0) for v in (x, y))
  angle = angle + rng.uniform(0, 2 * np.pi)
  return [
    drawing.paint(background, color, drawing.place(sprite, *pose))
    for pose in zip(x, y, radius, angle)
  ]
