"""Hints on curves that are drawn by hand."""

import math

import numpy as np
import pytest

from tsm_jax.insight import learning


def curves(losses, train_top1, eval_losses, top1):
  """Records of 40 lines of training and 8 evaluations, with a little noise.

  Each argument is a list of values that are joined by straight lines.
  """
  rng = np.random.default_rng(0)

  def drawn(values, count):
    return np.interp(
      np.linspace(0, 1, count), np.linspace(0, 1, len(values)), values
    )

  train = zip(drawn(losses, 40), drawn(train_top1, 40))
  records = [
    {
      'step': 10 * i,
      'train/loss': loss * (1 + 0.01 * rng.standard_normal()),
      'train/top1': right,
    }
    for i, (loss, right) in enumerate(train, 1)
  ]
  found = zip(drawn(eval_losses, 8), drawn(top1, 8))
  records += [
    {'step': 50 * i, 'eval/loss': loss, 'eval/top1': right}
    for i, (loss, right) in enumerate(found, 1)
  ]
  return sorted(records, key=lambda record: record['step'])


@pytest.mark.parametrize(
  ('lines', 'begins', 'fields'),
  [
    (  # falls, then rises
      ([2, 0.8, 0.7, 3], [0.1, 0.7, 0.7, 0.2], [2, 1, 1, 3], [0.2, 0.6, 0.2]),
      'The training loss rose again, from 0.8',
      ['base_learning_rate', 'schedule.warmup_epochs'],
    ),
    (  # never falls
      ([2.3, 2.3], [0.1, 0.11], [2.3, 2.3], [0.1, 0.1]),
      'The training loss stays near 2.3',
      ['base_learning_rate'],
    ),
    (  # learns by heart
      ([2, 0.5, 0.1, 0.05], [0.2, 1, 1], [2, 1, 1.5, 2.5], [0.2, 0.6, 0.5]),
      'Overfitting: training clips are right in 100.0%, others in 50.0%, whose',
      ['data.randaugment_ops', 'init_from', 'epochs'],
    ),
    (  # a gap, but no loss that rises
      ([2, 0.5, 0.1, 0.05], [0.2, 1, 1], [2, 1.2, 1.1], [0.2, 0.5, 0.5]),
      'Overfitting: training clips are right in 100.0%, others in 50.0%. ',
      ['model.dropout', 'optimizer.weight_decay'],
    ),
    (  # still falls
      ([2.3, 1.8, 1.3, 0.8], [0.1, 0.7], [2.3, 0.9], [0.1, 0.7]),
      'Too few steps: the training loss still fell',
      ['epochs'],
    ),
    (  # stays high
      ([2.3, 1.6, 1.6, 1.6, 1.6], [0.1, 0.4, 0.4], [2, 1.7], [0.1, 0.4, 0.4]),
      'Underfitting: even training clips are right in 40.0% only',
      ['base_learning_rate', 'init_from'],
    ),
    (  # as it should be
      ([2.3, 0.5, 0.2, 0.2, 0.2], [0.1, 0.9, 0.93], [2, 0.4], [0.1, 0.9]),
      '',
      [],
    ),
    (  # a loss near 0 that rises a little
      ([1, 0.01, 0.01, 0.03], [0.1, 1, 1], [2, 0.1, 0.1], [0.1, 1, 1]),
      '',
      [],
    ),
  ],
)
def test_clear_signs_are_named_with_the_fields(lines, begins, fields):
  records = curves(*lines)
  found = learning.hint(records, 100, 10)
  assert found.startswith(begins) and bool(found) == bool(begins), found
  for field in fields:
    assert f'`{field}`' in found


def test_thin_evidence_gives_no_hint():
  records = curves([2, 0.05], [0.2, 1], [2, 1, 1.5, 2.5], [0.2, 0.6, 0.5])
  assert learning.hint(records, 100, 10)
  # Of few clips, half may be right by chance.
  assert learning.hint(records, 16, 10) == ''
  evaluations = [r for r in records if 'eval/loss' in r]
  assert learning.hint(evaluations, 100, 10) == ''
  train = [r for r in records if 'train/loss' in r]
  assert learning.hint([*train, *evaluations[-2:]], 100, 10) == ''
  assert learning.hint([], 100, 10) == ''


def test_noise_is_no_rise():
  rng = np.random.default_rng(1)
  records = curves([1, 1], [0.7, 0.7], [1, 1], [0.7, 0.7])
  for record in records:
    if 'train/loss' in record:
      record['train/loss'] = math.exp(0.8 * rng.standard_normal())
  assert learning.hint(records, 100, 10) == ''


def test_two_classes_of_which_most_clips_are_right_are_progress():
  same = [0.55, 0.55], [0.72, 0.72], [0.6, 0.6], [0.7, 0.7]
  assert 'by chance' not in learning.hint(curves(*same), 100, 2)
  chance = [0.69, 0.69], [0.52, 0.52], [0.69, 0.69], [0.5, 0.5]
  assert 'by chance' in learning.hint(curves(*chance), 100, 2)


def test_a_run_without_a_mistake_needs_no_more_steps():
  falling = [2, 1.5, 1, 0.5], [0.2, 0.9], [2, 0.5]
  assert 'Too few steps' in learning.hint(curves(*falling, [0.2, 0.9]), 100, 5)
  assert not learning.hint(curves(*falling, [0.9, 1, 1]), 100, 5)
