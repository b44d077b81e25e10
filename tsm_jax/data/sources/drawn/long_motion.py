"""The online quickstart's dataset: long videos in which motions start and stop.

Between the motions, all stands still, or something happens that is none of
them: a sprite flickers, jitters, swings, is replaced or visited by another one,
or the background changes. Every video is written forwards and backwards, into
the same split and without loss: a motion becomes the other one of its pair, and
no single frame tells which of the two it is.
"""

import csv
import pathlib
from typing import NamedTuple

import numpy as np

from tsm_jax.data.clips import videos
from tsm_jax.data.sources.drawn import drawing, storyline

VERSION = 1  # of the drawing: another one is another dataset
FRAME_RATES = (10, 15, 24, 30)  # of a video, one of them
SECONDS = (20, 60)  # length of a video
SCENES = {'train': 90, 'val': 45, 'test': 45}  # two videos each
NUM_TRAIN = 2005  # clips, a fifth of them background
COLUMNS = ('path', 'label', 'start', 'end', 'split')
LIST = 'list.csv'


def num_train():
  """`(classes, training clips)` of the whole dataset, with background."""
  return 2 * len(storyline.PAIRS) + 1, NUM_TRAIN


class Film(NamedTuple):
  """A long video and what of it is a motion.

  Attributes:
    fps: frames per second.
    frames: a list of uint8 `[H, W, 3]`.
    segments: a list of `storyline.Segment`, in order.
  """

  fps: int
  frames: list
  segments: list

  def backwards(self):
    """The film that is seen when this one is played backwards."""
    end = (len(self.frames) - 1) / self.fps  # time 0 is the first frame
    pairs = {a: b for pair in storyline.PAIRS for a, b in (pair, pair[::-1])}
    segments = [
      storyline.Segment(pairs[label], end - stop, end - start)
      for label, start, stop in self.segments[::-1]
    ]
    return Film(self.fps, self.frames[::-1], segments)


def make(folder, scenes=None, seconds=SECONDS, seed=0):
  """Writes the videos and `folder/list.csv`, whose rows are their motions.

  Args:
    folder: made by this call, complete or not at all.
    scenes: mapping from split to the number of scenes; two videos each.
    seconds: the least and the greatest length of a video.
    seed: of everything that is random.

  Returns:
    The path of the list. Its columns are `COLUMNS`; times are in seconds.
  """
  folder = pathlib.Path(folder)
  if folder.exists():
    return folder / LIST
  with drawing.whole(folder) as unfinished:
    rows = []
    for split, count in (scenes or SCENES).items():
      (unfinished / split).mkdir()
      for scene in range(count):
        film = draw(drawing.generator(seed, split, scene), seconds)
        for way, played in (('a', film), ('b', film.backwards())):
          path = f'{split}/{scene:03d}{way}.mp4'
          videos.write(unfinished / path, played.frames, played.fps)
          rows += [
            (path, label, f'{start:.3f}', f'{end:.3f}', split)
            for label, start, end in played.segments
          ]
    with open(unfinished / LIST, 'w', newline='') as file:
      csv.writer(file, lineterminator='\n').writerows([COLUMNS, *rows])
  return folder / LIST


def draw(rng, seconds=SECONDS):
  """The `Film` of one scene, played forwards."""
  fps = FRAME_RATES[rng.integers(len(FRAME_RATES))]
  length = rng.uniform(*seconds)
  times = np.arange(round(length * fps)) / fps
  story = storyline.Story(rng, times)
  axes = []
  now = story.pause(0)
  while True:
    for kind in rng.permutation(storyline.DISTRACTORS)[: rng.integers(3)]:
      now = story.pause(getattr(story, kind)(now))
    if now + storyline.LENGTH[1] > length:
      break
    axes = axes or rng.permutation(len(storyline.PAIRS)).tolist()
    now = story.pause(story.move(now, axes.pop()))
  return Film(fps, story.frames(), story.segments)
