"""The fractions of an evaluation, by a loop over its clips."""

import numpy as np
import pytest

from tsm_jax.data.input import records
from tsm_jax.program import metrics, results


def test_mean_class_accuracy_equals_a_loop_over_the_classes():
  rng = np.random.default_rng(0)
  labels = np.array([0] * 9 + [1] * 2 + [3] * 4)  # no clip of class 2
  logits = rng.normal(size=(15, 4)).astype(np.float32)
  logits[:9, 0] += 2  # the frequent class is known best
  total = metrics.counts(logits, labels, np.ones(15))
  result = results.summarize(total, 15)
  shares = []
  for name in sorted(set(labels.tolist())):
    mine = [row.argmax() == name for row in logits[labels == name]]
    shares.append(sum(mine) / len(mine))
  assert len(shares) == 3
  assert result.mean_class == pytest.approx(sum(shares) / 3)
  assert abs(result.mean_class - result.top1) > 0.1  # another number
  assert result.scalars('eval/')['eval/mean_class'] == result.mean_class
  said = results.describe(result, list('abcd'), 'val', records.Views())
  assert said['mean_class'] == result.mean_class
  assert f'mean class {result.mean_class:.2%}, loss' in results.summary(result)
