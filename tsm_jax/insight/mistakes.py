"""The worst mistakes of a model: what it was sure of, and wrong."""

import functools
from typing import NamedTuple

import matplotlib as mpl
import numpy as np

from tsm_jax.data.input import records
from tsm_jax.insight import drawing
from tsm_jax.program import predictions

NUM_CLIPS = 12
_FRAMES = 4  # shown of each clip
_COLUMNS = 2


class Mistake(NamedTuple):
  """A clip and what it was taken for.

  Attributes:
    number: of the clip in its split.
    clip: its name.
    label: index of its class.
    predicted: index of the class with the largest logit.
    probability: of that class.
  """

  number: int
  clip: str
  label: int
  predicted: int
  probability: float


def worst(result, count=NUM_CLIPS):
  """The mistakes of highest probability, the highest first.

  Args:
    result: a `results.Result` with its clips.
    count: how many at most.

  Returns:
    A list of `Mistake`; of equal ones, the first of the split comes first.
  """
  probabilities = predictions.softmax(result.logits)
  predicted = result.logits.argmax(axis=1)  # as top-1 is counted
  highest = probabilities[np.arange(len(predicted)), predicted]
  wrong = np.flatnonzero(predicted != result.labels)
  chosen = wrong[np.argsort(-highest[wrong], kind='stable')[:count]]
  return [
    Mistake(
      int(i),
      result.clips[i],
      int(result.labels[i]),
      int(predicted[i]),
      float(highest[i]),
    )
    for i in chosen
  ]


def reader(source, preprocessing, config):
  """How `draw` gets at the frames of a clip.

  Args:
    source: the evaluated split, from `Dataset.split`.
    preprocessing: a `preprocess.Preprocessing`.
    config: a configuration; its section `eval` counts.

  Returns:
    A function of the number of a clip, see `pictures`.
  """
  views = records.Views.from_config(config, validation=True)
  return functools.partial(pictures, source, preprocessing, views)


def pictures(source, preprocessing, views, number):
  """The frames of a clip's first view as the network sees it, unnormalised.

  Args:
    source: of records.
    preprocessing: a `preprocess.Preprocessing`.
    views: a `records.Views`.
    number: of the clip.

  Returns:
    uint8 `[T, S, S, 3]`, RGB. Of what is stacked, the first image; of flow its
    x as red, its y as green.
  """
  frames = records.eval_views(source[number], preprocessing, views, number)[0]
  if preprocessing.kind().stored == 'flow':
    grey = np.full((*frames.shape[:-1], 1), 128, np.uint8)
    return np.concatenate([frames[..., :2], grey], axis=-1)
  return frames[..., :3]


def _side_by_side(frames):
  """Frames `[n, S, S, 3]` in one picture, parted by white lines."""
  gap = -(-frames.shape[2] // 50)
  edges = [(0, 0), (0, 0), (0, gap), (0, 0)]
  padded = np.pad(frames, edges, constant_values=255)
  return np.concatenate(padded, axis=1)[:, :-gap]


@mpl.rc_context(drawing.PLAIN)
def draw(mistakes, labels, frames, path):
  """A contact sheet of mistakes, as a PNG.

  Args:
    mistakes: from `worst`, at least one.
    labels: class names by index.
    frames: a function of the number of a clip, from `reader`.
    path: of the picture.
  """
  rows = -(-len(mistakes) // _COLUMNS)
  fig = drawing.figure((10.0, 0.3 + 1.6 * rows))
  axes = fig.subplots(rows, _COLUMNS, squeeze=False).ravel()
  for place in axes:
    place.axis('off')
  for place, mistake in zip(axes, mistakes):
    clip = frames(mistake.number)
    chosen = np.linspace(0, len(clip) - 1, min(_FRAMES, len(clip))).astype(int)
    place.imshow(_side_by_side(clip[chosen]))
    label, predicted = (
      drawing.shortened(labels[k], 25)
      for k in (mistake.label, mistake.predicted)
    )
    place.set_title(
      f'{label} → {predicted}, {mistake.probability:.1%}', fontsize='small'
    )
  drawing.save(fig, path)
