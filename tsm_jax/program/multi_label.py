"""Clips of several labels: their loss, and how well their classes are ranked.

Every class is a yes or no of its own: its probability is the sigmoid of its
logit. Labels are int32 `[B, K]`, 1 for each that a clip has.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import optax

from tsm_jax import errors


def check(config):
  """Raises InputError if fields do not go together with several labels.

  Args:
    config: a configuration; older ones do not have the field.
  """
  if not config.data.get('multi_label', False):
    return
  for field in ('balance', 'background'):
    if (value := config.data.get(field)) not in ('off', '', None):
      raise errors.InputError(
        f'data.{field} is {value!r}, which needs clips of one label each, but '
        'data.multi_label is True; leave one of them out.'
      )


def cross_entropy(logits, label, smoothing=0.0):
  """Binary cross-entropy, the mean over the classes.

  The mean, so that it is ln 2 before anything is learnt, whatever the number of
  classes is, and a learning rate fits lists of few and many of them.

  Args:
    logits: `[..., K]`.
    label: 1 and 0, or in a mixed clip shares between them, of the same shape.
    smoothing: of labels: 1 becomes `1 - smoothing / 2`, 0 becomes
      `smoothing / 2`.

  Returns:
    `[...]`.
  """
  target = label * (1 - smoothing) + smoothing / 2
  return optax.sigmoid_binary_cross_entropy(logits, target).mean(-1)


def frame_cross_entropy(logits, label, smoothing=0.0):
  """`cross_entropy` `[B, T]` of every frame, `logits` `[B, T, K]`."""
  return cross_entropy(logits, label[:, None], smoothing)


def hits(logits, label):
  """Whether the largest logit is that of a label of the clip, bool `[B]`.

  Of mixed clips, whether it is of one of which they are at least half.
  """
  best = logits.argmax(-1)[:, None]
  return jnp.take_along_axis(label, best, axis=-1)[:, 0] >= 0.5


def top1(logits, label):
  """The fraction of clips of which `hits` is true."""
  return hits(logits, label).mean()


def counts(logits, label, mask):
  """What evaluation adds up over batches, see `metrics.counts`.

  Args:
    logits: `[B, K]`.
    label: int32 `[B, K]`.
    mask: `[B]`, 1 for a clip and 0 for filling.

  Returns:
    A dict of sums: clips, top1 (see `hits`) and loss.
  """
  return {
    'clips': mask.astype(jnp.int32).sum(),
    'top1': (hits(logits, label) * mask).sum(),
    'loss': (cross_entropy(logits, label) * mask).sum(),
  }


def average_precision(scores, positive):
  """The average precision of one class: the area under its steps.

  The sum over the distinct scores, from the highest on, of the precision down
  to there times by how much the recall grows there.

  >>> average_precision([0.9, 0.8, 0.7], [1, 0, 1])
  0.8333333333333333

  Args:
    scores: `[N]`; only their order counts.
    positive: `[N]`, 1 for the clips that have the label.

  Returns:
    A float; nan without a positive.
  """
  scores, positive = np.asarray(scores), np.asarray(positive) > 0
  if not positive.any():
    return float('nan')
  order = np.argsort(-scores, kind='stable')
  right = np.cumsum(positive[order])
  seen = np.arange(1, len(order) + 1)
  last = np.append(np.diff(scores[order]) != 0, True)  # of equal scores
  precision, recall = (right / seen)[last], right[last] / right[-1]
  return float((precision * np.diff(recall, prepend=0.0)).sum())


class Result(NamedTuple):
  """What an evaluation found of clips of several labels.

  Attributes:
    top1: fraction of clips whose largest logit is of one of their labels.
    loss: mean of `cross_entropy`.
    num_clips: clips counted, N.
    precisions: the average precision of each class `[K]`; nan for a class that
      no clip has.
    logits: float32 `[N, K]`, the mean over the views.
    labels: int32 `[N, K]`.
    clips: a list of the clips' names.
    confusion: None: with several labels there is none.
  """

  top1: float
  loss: float
  num_clips: int
  precisions: np.ndarray
  logits: np.ndarray
  labels: np.ndarray
  clips: list[str]
  confusion: None = None

  @property
  def mean_average_precision(self):
    """The mean over the classes that have a clip."""
    return float(np.nanmean(self.precisions))

  @property
  def score(self):
    """By what models are compared."""
    return self.mean_average_precision

  def scalars(self, prefix=''):
    """A dict of the fractions and the loss, for `metrics.Writer`."""
    return {
      f'{prefix}map': self.mean_average_precision,
      f'{prefix}top1': self.top1,
      f'{prefix}loss': self.loss,
    }

  def per_class(self):
    """As `precisions`."""
    return self.precisions

  def headline(self):
    """What counts most, in words."""
    return f'mAP {self.mean_average_precision:.2%}'

  def in_short(self):
    """Its fractions in half a line."""
    return f'{self.headline()}, top-1 {self.top1:.2%}'


def summarize(total, clips, names):
  """The `Result` of an evaluation.

  Args:
    total: sums of `counts`.
    clips: a `results.Clips`.
    names: of the clips.
  """
  counted = int(total['clips'])
  if counted != len(names):
    raise AssertionError(f'{counted} clips were counted of {len(names)}.')
  return Result(
    top1=float(total['top1']) / counted,
    loss=float(total['loss']) / counted,
    num_clips=counted,
    precisions=np.array(
      [
        average_precision(clips.logits[:, k], clips.labels[:, k])
        for k in range(clips.labels.shape[1])
      ]
    ),
    logits=clips.logits,
    labels=clips.labels,
    clips=names,
  )
