"""Which class a mirrored clip belongs to, from the texts of the labels.

A mirror swaps left and right and the sense of a turn, not up and down.
"""

import re

import numpy as np

from tsm_jax import errors

MODES = ('off', 'on', 'swap')

_PAIRS = (
  ('left', 'right'),
  ('leftward', 'rightward'),
  ('leftwards', 'rightwards'),
  ('leftmost', 'rightmost'),
  ('clockwise', 'counterclockwise'),
  ('cw', 'ccw'),
)
_OPPOSITES = {a: b for pair in _PAIRS for a, b in (pair, pair[::-1])}
# Words that do not name a side: 'pulling it right out', 'left and right'.
_NO_SIDE = re.compile(
  r'\b(all right|right (out|away|now)|(left|right) (and|or) (left|right))\b'
)
_WORDS = re.compile(rf'\b({"|".join(_OPPOSITES)})\b')


def check_mode(flip):
  """Raises InputError unless `flip` is a value of data.flip."""
  if flip not in MODES:
    raise errors.InputError(
      f'data.flip is {flip!r}; choose from {", ".join(map(repr, MODES))}.'
    )


def mirrored_classes(flip, labels):
  """The class of a mirrored clip, for each class.

  Args:
    flip: 'off'; 'on', which keeps the class; or 'swap', which follows the
      texts of the labels.
    labels: class names by index.

  Returns:
    int32 `[K]`, -1 for a class whose clips must not be mirrored: its mirror
    image is not a class. None if flips are off.

  Raises:
    InputError: for another `flip`, or 'on' if labels name a side.
  """
  check_mode(flip)
  if flip == 'off':
    return None
  texts = [_plain(label) for label in labels]
  mirrored = _mirrors(texts)
  sided = [a for a, b, c in zip(labels, texts, mirrored) if b != c]
  if flip == 'on':
    if sided:
      raise errors.InputError(
        f"data.flip is 'on', but a mirror changes the meaning of {sided[0]!r}"
        + (f' and {len(sided) - 1} more labels' if len(sided) > 1 else '')
        + "; use data.flip='swap' to swap such labels, or 'off'."
      )
    return np.arange(len(labels), dtype=np.int32)
  index = {text: i for i, text in enumerate(texts)}
  classes = np.array(
    [
      i if text == other else index.get(other, -1)
      for i, (text, other) in enumerate(zip(texts, mirrored))
    ],
    np.int32,
  )
  # Labels that differ only in punctuation have no mirror image.
  for i, other in enumerate(classes):
    if other not in (-1, i) and index.get(mirrored[other]) != i:
      classes[i] = -1
  return classes


def describe(classes, labels):
  """What mirroring does to the labels, as lines; `classes` may be None."""
  if classes is None:
    return
  for i, other in enumerate(classes):
    if other > i:
      yield f'Mirrored clips swap {labels[i]!r} <-> {labels[other]!r}.'
    elif other < 0:
      yield f'Clips of {labels[i]!r} are not mirrored: no class is the mirror.'


def _plain(label):
  """Lower-case words: of 'TurnLeft', 'turn_left' and 'Turn left' the same."""
  text = re.sub(r'(?<=[a-z])(?=[A-Z])', ' ', label)
  text = re.sub(r'(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])', ' ', text)
  text = re.sub(r'[\W_]+', ' ', text).lower().strip()
  text = re.sub(r'\b(?:counter|anti) ?clockwise\b', 'counterclockwise', text)
  return _NO_SIDE.sub('-', text)


def _mirrors(texts):
  """The mirrored text of each; inside words only where that is a label."""
  mirrored = [_mirror(text) for text in texts]
  for i, text in enumerate(texts):
    # 'turnleft' and 'turnright'; no label is the mirror of 'leftover'.
    inside = re.sub('left|right', lambda m: _OPPOSITES[m[0]], text)
    if mirrored[i] == text and inside in texts:
      mirrored[i] = inside
  return mirrored


def _mirror(text):
  return _WORDS.sub(lambda match: _OPPOSITES[match[0]], text)
