"""Classes of unlike size: which training clips are drawn, what they weigh."""

import functools
import sys

import numpy as np

from tsm_jax import errors

MODES = ('off', 'sampling', 'loss')


def check_mode(balance):
  """Raises InputError unless `balance` is a value of data.balance."""
  if balance not in MODES:
    raise errors.InputError(
      f'data.balance is {balance!r}; choose from {", ".join(map(repr, MODES))}.'
    )


class Balanced:
  """The numbers of clips, without end, of each class equally often.

  Of K classes, every K numbers that follow each other have one of each, in a
  random order. The clips of a class come in a random order, each once before
  any of them comes again. A number depends only on the seed and its place.

  >>> numbers = Balanced([0, 0, 0, 1], seed=0)
  >>> sorted(numbers[i] for i in range(6))
  [0, 1, 2, 3, 3, 3]
  """

  def __init__(self, classes, seed):
    """Draws nothing yet.

    Args:
      classes: of every clip, int `[n]`; those without a clip do not count.
      seed: of the orders.
    """
    classes = np.asarray(classes)
    found = np.unique(classes)
    # Number 0 is the order of the classes, the others that of their clips.
    self._lists = [found, *(np.flatnonzero(classes == c) for c in found)]
    self._places = {name: i for i, name in enumerate(found.tolist(), 1)}
    self._seed = seed
    # Kept for what is asked for next; grain's own shuffles take milliseconds
    # for a number out of few.
    kept = functools.lru_cache(4 * len(self._lists))
    self._shuffled = kept(self._shuffled)

  def __len__(self):
    return sys.maxsize

  def __getitem__(self, place):
    turn, place = divmod(place, len(self._places))
    number = self._places[self._shuffled(0, turn)[place]]
    turn, place = divmod(turn, len(self._lists[number]))
    return self._shuffled(number, turn)[place]

  def _shuffled(self, number, turn):
    """A list of clips, or that of the classes, in the order of its n-th use."""
    rng = np.random.default_rng((self._seed, number, turn))
    return rng.permutation(self._lists[number]).tolist()


def class_weights(classes, num_classes, mirrored=None):
  """What a clip of each class weighs in the loss, so that classes weigh alike.

  It is `n / (K n_c)`, of n clips of K classes that have some: the mean over the
  clips is 1. Where mirrored clips change their class, `n_c` counts half of
  them there.

  >>> class_weights([0, 0, 0, 1], 2)
  array([0.6666667, 2.       ], dtype=float32)

  Args:
    classes: of every training clip, int `[n]`.
    num_classes: all of them, with or without clips.
    mirrored: from `flips.mirrored_classes`.

  Returns:
    float32 `[num_classes]`; 0 for a class that no clip can have.
  """
  counts = np.bincount(classes, minlength=num_classes).astype(float)
  if mirrored is not None:
    numbers = np.arange(num_classes)
    other = np.where(mirrored < 0, numbers, mirrored)
    counts = (counts + np.bincount(other, counts, num_classes)) / 2
  there = counts > 0
  share = counts.sum() / there.sum()
  return np.where(there, share / np.maximum(counts, 0.5), 0).astype(np.float32)


def loss_weights(balance, source, num_classes, mirrored, log):
  """The weights of the classes that data.balance asks for; says what it does.

  Args:
    balance: a value of data.balance.
    source: the training split, from `Dataset.split`.
    num_classes: of the dataset.
    mirrored: from `flips.mirrored_classes`.
    log: called with a line, unless it is 'off'.

  Returns:
    As `class_weights` for 'loss', else None.
  """
  if balance == 'off':
    return None
  counts = np.unique(source.classes, return_counts=True)[1]
  weights, what = None, 'each class is drawn equally often'
  if balance == 'loss':
    weights = class_weights(source.classes, num_classes, mirrored)
    low, high = weights[weights > 0].min(), weights.max()
    what = f'a clip weighs {low:.2g} to {high:.2g} in the loss, by its class'
  log(
    f'Classes have {counts.min()} to {counts.max()} training clips: {what} '
    f'(data.balance={balance!r}).'
  )
  return weights
