"""What the curves of a run say about its settings, where they say something."""

import math
from typing import NamedTuple

import numpy as np

from tsm_jax.insight import wilson

_LINES = 8  # of training that are needed, two in each quarter
_EVALUATIONS = 3
_CLIPS = 20  # of an evaluation
_RISE = 1.2  # of a loss, that is no noise
_LOW = 0.6  # top-1 of training clips that a run could get beyond


class _Curves(NamedTuple):
  """What is compared.

  Attributes:
    losses: mean training losses of the four quarters of the run.
    noise: how uncertain these means are, one standard error.
    train_top1: of the training clips of the last quarter.
    top1: of the evaluations, in their order.
    eval_losses: of these.
    steps: of these.
    high: the upper end of the interval of the last top-1.
  """

  losses: list[float]
  noise: float
  train_top1: float
  top1: list[float]
  eval_losses: list[float]
  steps: list[int]
  high: float


def hint(records, num_clips, num_classes):
  """What may be wrong with a run and which field to change.

  It compares the quarters of the training curve with each other and with the
  evaluations. A training loss includes label smoothing, and the top-1 of mixed
  clips is lower than that of whole ones, so that only clear signs count.

  Args:
    records: of `metrics.read`.
    num_clips: evaluated clips.
    num_classes: K.

  Returns:
    A sentence or two, or '' where the evidence is thin or nothing is wrong.
  """
  curves = _read(records, num_clips)
  if curves is None:
    return ''
  for look in (_diverging, _no_progress, _overfitting, _unfinished, _underfit):
    if found := look(curves, num_classes):
      return found
  return ''


def _read(records, num_clips):
  """The `_Curves` of the records, or None if there are too few."""
  train = [r for r in records if {'train/loss', 'train/top1'} <= r.keys()]
  found = [r for r in records if {'eval/loss', 'eval/top1'} <= r.keys()]
  if len(train) < _LINES or len(found) < _EVALUATIONS or num_clips < _CLIPS:
    return None
  quarters = np.array_split([r['train/loss'] for r in train], 4)
  errors = [part.std(ddof=1) / math.sqrt(len(part)) for part in quarters]
  last = np.array_split([r['train/top1'] for r in train], 4)[-1]
  right = round(found[-1]['eval/top1'] * num_clips)
  return _Curves(
    losses=[float(part.mean()) for part in quarters],
    # A falling loss spreads, too: the last quarters tell more of noise.
    noise=float(max(errors[-2:])),
    train_top1=float(last.mean()),
    top1=[r['eval/top1'] for r in found],
    eval_losses=[r['eval/loss'] for r in found],
    steps=[r['step'] for r in found],
    high=wilson.interval(right, num_clips)[1],
  )


def _diverging(curves, num_classes):
  lowest, last = min(curves.losses[:3]), curves.losses[3]
  # A loss near 0 rises by as much as it is, and nothing is wrong.
  noise = max(3 * curves.noise, 0.05 * math.log(num_classes))
  if last > _RISE * lowest and last - lowest > noise:
    return (
      f'The training loss rose again, from {lowest:.3g} to {last:.3g}: the '
      'learning rate is probably too high. Try a third of '
      '`base_learning_rate`, or a longer `schedule.warmup_epochs`.'
    )
  return ''


def _no_progress(curves, num_classes):
  chance = 1 / num_classes
  stays = curves.losses[3] > 0.97 * curves.losses[0]
  hardly = min(1.5 * chance, chance + 0.1)  # of two classes, 75% are many
  if stays and curves.train_top1 < hardly and num_classes > 1:
    return (
      f'The training loss stays near {curves.losses[3]:.3g}, and training '
      f'clips are hardly right more often than by chance ({chance:.1%}): try '
      '`base_learning_rate` ten times higher and ten times lower, and look at '
      'the labels by `python -m tsm_jax.data.doctor`.'
    )
  return ''


def _overfitting(curves, num_classes):
  """Training clips are known by heart, and others are not."""
  gap = curves.train_top1 - curves.top1[-1]
  if gap < 0.15 or curves.train_top1 <= curves.high:
    return ''
  number = int(np.argmin(curves.eval_losses))
  lowest, last = curves.eval_losses[number], curves.eval_losses[-1]
  change = (
    'Stronger augmentation (`data.randaugment_ops`, `mixup_alpha`, '
    '`erase_probability`), more `model.dropout` or `optimizer.weight_decay`, '
    'pretrained weights (`init_from`) or more clips may help'
  )
  sides = (
    f'training clips are right in {curves.train_top1:.1%}, others in '
    f'{curves.top1[-1]:.1%}'
  )
  if number < len(curves.steps) - 1 and last > _RISE * lowest:
    return (
      f'Overfitting: {sides}, whose loss was lowest at step '
      f'{curves.steps[number]} ({lowest:.3g}) and then rose to {last:.3g}. '
      f'{change}, or fewer `epochs`.'
    )
  return f'Overfitting: {sides}. {change}.'


def _unfinished(curves, num_classes):
  before, last = curves.losses[2:]
  falls = last < 0.85 * before and before - last > 3 * curves.noise
  is_best = curves.eval_losses[-1] <= min(curves.eval_losses)
  is_best &= max(curves.top1) <= curves.top1[-1] < 1
  if falls and is_best and last > 0.1:
    return (
      f'Too few steps: the training loss still fell in the last quarter, from '
      f'{before:.3g} to {last:.3g}, and the last evaluation is the best one. '
      'Try twice the `epochs`.'
    )
  return ''


def _underfit(curves, num_classes):
  before, last = curves.losses[2:]
  if curves.train_top1 < _LOW and last > 0.95 * before:
    return (
      'Underfitting: even training clips are right in '
      f'{curves.train_top1:.1%} only, and their loss no longer falls '
      f'({before:.3g}, then {last:.3g}). Try another `base_learning_rate` '
      '(three times higher, three times lower), less augmentation, a larger '
      'network (`model.depth`) or pretrained weights (`init_from`).'
    )
  return ''
