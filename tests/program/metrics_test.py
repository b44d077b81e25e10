import json
import os

import numpy as np
import pytest

from support import trainings
from tsm_jax import errors
from tsm_jax.program import metrics


def test_counts_equal_a_loop_over_the_clips():
  rng = np.random.default_rng(0)
  logits = rng.normal(size=(20, 7)).astype(np.float32)
  label = rng.integers(0, 7, 20).astype(np.int32)
  mask = (rng.random(20) < 0.7).astype(np.float32)
  confusion, top5, loss = np.zeros((7, 7), int), 0, 0.0
  for row, correct, counted in zip(logits, label, mask):
    if counted:
      confusion[correct, row.argmax()] += 1
      top5 += correct in np.argsort(-row)[:5]
      loss -= np.log(np.exp(row[correct]) / np.exp(row).sum())
  result = metrics.counts(logits, label, mask)
  np.testing.assert_array_equal(result['confusion'], confusion)
  assert result['top5'] == top5
  np.testing.assert_allclose(result['loss'], loss, rtol=1e-5)


def test_top5_of_fewer_classes_is_everything():
  logits = np.array([[0.0, 1.0], [1.0, 0.0]], np.float32)
  result = metrics.counts(logits, np.array([0, 0]), np.ones(2))
  assert result['top5'] == 2
  np.testing.assert_array_equal(result['confusion'], [[1, 1], [0, 0]])


def test_label_smoothing_by_hand():
  logits = np.log(np.array([[0.5, 0.25, 0.25]], np.float32))
  plain = metrics.cross_entropy(logits, np.array([0]))
  np.testing.assert_allclose(plain, np.log(2), rtol=1e-6)
  # 0.3 spread over three classes: 0.8 on the first, 0.1 on the others.
  smooth = metrics.cross_entropy(logits, np.array([0]), 0.3)
  expected = 0.8 * np.log(2) + 0.2 * np.log(4)
  np.testing.assert_allclose(smooth, expected, rtol=1e-6)


def test_a_continued_file_has_no_lines_from_beyond_its_step(tmp_path):
  with metrics.Writer(tmp_path, 0) as writer:
    for step in (10, 20, 30):
      writer.write(step, {'train/loss': float(step)})
  with open(tmp_path / metrics.FILE, 'a') as file:
    file.write('{"step": 40, "train/lo')  # killed while writing
  with metrics.Writer(tmp_path, 20) as writer:
    writer.write(30, {'train/loss': 3.0})
  lines = (tmp_path / metrics.FILE).read_text().splitlines()
  assert [json.loads(line) for line in lines] == [
    {'step': 10, 'train/loss': 10.0},
    {'step': 20, 'train/loss': 20.0},
    {'step': 30, 'train/loss': 3.0},
  ]


def test_what_is_written_is_in_the_files_at_once(tmp_path):
  scalars = [(1, 'train/loss', 2.0), (1, 'eval/top1', 0.5), (2, 'a', 1.0)]
  with metrics.Writer(tmp_path, 0) as writer:
    for count, (step, name, value) in enumerate(scalars, 1):
      writer.write(step, {name: value})
      assert trainings.on_board(tmp_path) == set(scalars[:count])
      assert len(metrics.read(tmp_path)) == count
    # It is killed, and the second step was not saved.
    with metrics.Writer(tmp_path, 1):
      assert trainings.on_board(tmp_path) == set(scalars[:2])
      assert len(metrics.read(tmp_path)) == 2


def test_lines_that_are_no_metrics_are_named(tmp_path):
  path, good = tmp_path / metrics.FILE, '{"step": 1, "train/loss": 2.0}\n'
  for text in ('', '\0\0\n', '{"step": 2, "tr', '\xff', '[' * 100_000):
    path.write_bytes(good.encode() + text.encode('latin-1'))
    assert metrics.read(tmp_path) == [{'step': 1, 'train/loss': 2.0}]
  for line in (
    '[]',
    '1',
    '{}',
    '{"step": "1"}',
    '{"step": 1, "train/loss": "<script>"}',
    f'{{"step": 1{"0" * 400}}}',
  ):
    path.write_text(good + line)
    with pytest.raises(errors.InputError, match=r'Line 2 of .*metrics\.jsonl'):
      metrics.read(tmp_path)
  path.unlink()
  os.mkfifo(path)
  with pytest.raises(errors.InputError, match=r'metrics\.jsonl is no regular'):
    metrics.read(tmp_path)


def test_labels_may_be_shares_of_classes():
  logits = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
  one, other = np.array([0, 1, 2, 0]), np.array([2, 2, 1, 1])
  shares = 0.7 * np.eye(3, dtype=np.float32)[one]
  shares += 0.3 * np.eye(3, dtype=np.float32)[other]
  for smoothing in (0.0, 0.2):
    expected = 0.7 * metrics.cross_entropy(logits, one, smoothing)
    expected += 0.3 * metrics.cross_entropy(logits, other, smoothing)
    np.testing.assert_allclose(
      metrics.cross_entropy(logits, shares, smoothing), expected, rtol=1e-5
    )
  right = (logits.argmax(-1) == one).mean()
  assert metrics.top1(logits, one) == metrics.top1(logits, shares) == right
