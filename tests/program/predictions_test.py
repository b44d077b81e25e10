"""The table of predictions: names as they are, numbers to be read back."""

import csv

import numpy as np
import pytest

from tsm_jax import errors
from tsm_jax.program import metrics, predictions, results

LABELS = ['=1+1', 'a,"b"', '-c', '@d', '+e', 'NA']
CLIPS = ['=cmd.mp4', '-a.mp4', '@x\n.mp4', 'tab\t, "q".mp4', 'é/ü.mp4']


@pytest.fixture
def result():
  rng = np.random.default_rng(0)
  logits = rng.normal(0, 3, (5, 6)).astype(np.float32)
  logits[0, :] = 1 / 3  # all are equal
  labels = np.array([5, 1, 2, 0, 3])
  return results.Result(0.5, 1.0, 0.0, 5, np.eye(6), logits, labels, CLIPS)


def test_a_row_for_every_clip(result, tmp_path):
  path = tmp_path / 'deep' / 'predictions.csv'
  predictions.write(path, result, LABELS, 7)
  with open(path, newline='', encoding='utf-8') as file:
    rows = list(csv.DictReader(file))
  assert list(rows[0]) == [
    *('clip', 'label', 'step', 'top1', 'p1', 'top2', 'p2', 'top3', 'p3'),
    *('top4', 'p4', 'top5', 'p5', 'logits'),
  ]
  assert [row['clip'] for row in rows] == CLIPS
  assert [row['label'] for row in rows] == [LABELS[i] for i in result.labels]
  for row, logits in zip(rows, result.logits):
    p = np.exp(logits.astype(float)) / np.exp(logits.astype(float)).sum()
    order = sorted(range(6), key=lambda k: (-logits[k], k))[:5]
    assert [row[f'top{i}'] for i in range(1, 6)] == [LABELS[k] for k in order]
    found = [float(row[f'p{i}']) for i in range(1, 6)]
    np.testing.assert_allclose(found, p[order], rtol=1e-5)
  step, labels, logits = predictions.read(path, LABELS)
  assert step == 7
  np.testing.assert_array_equal(labels, result.labels)
  np.testing.assert_array_equal(logits, result.logits)  # bit by bit
  assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_two_classes_have_two_places(result, tmp_path):
  result = result._replace(logits=result.logits[:, :2], labels=np.zeros(5, int))
  predictions.write(tmp_path / 'a.csv', result, LABELS[:2], 1)
  header, *_ = (tmp_path / 'a.csv').read_text().splitlines()
  assert header == 'clip,label,step,top1,p1,top2,p2,logits'
  with pytest.raises(errors.InputError, match=r'a\.csv is not a table of pred'):
    predictions.read(tmp_path / 'a.csv', LABELS)
  (tmp_path / 'b.csv').write_text('clip,label\n')
  with pytest.raises(errors.InputError, match=r'b\.csv is not a table'):
    predictions.read(tmp_path / 'b.csv', LABELS)


def test_a_run_keeps_the_last_and_the_best(result, tmp_path):
  def steps():
    names = (predictions.FILE, predictions.BEST)
    return [predictions.read(tmp_path / name, LABELS)[0] for name in names]

  for step, top1, expected in (
    *((1, 0.5, [1, 1]), (2, 0.4, [2, 1]), (3, 0.5, [3, 3]), (4, 0.4, [4, 3])),
  ):
    predictions.keep(tmp_path, step, result._replace(top1=top1), LABELS)
    assert steps() == expected
    with metrics.Writer(tmp_path, step) as writer:
      writer.write(step, {'eval/top1': top1})
  predictions.keep(tmp_path, 5, result, LABELS, active=False)
  assert steps() == [4, 3]
  # It goes on from step 2 with other values, and the model of step 3 is gone.
  metrics.Writer(tmp_path, 2).__exit__()
  predictions.keep(tmp_path, 3, result._replace(top1=0.3), LABELS)
  assert not (tmp_path / predictions.BEST).exists()
