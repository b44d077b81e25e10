"""Which clips are drawn, and what they weigh, where classes differ in size."""

import itertools

import numpy as np
import pytest

from support import helpers, stored
from tsm_jax import errors
from tsm_jax.data.input import balance, pipeline

CLASSES = [4] * 7 + [0] * 3 + [1] + [0] * 2  # of 13 clips; none of 2 and 3


class Split(list):
  """Records with the attribute of `Dataset.split`."""

  classes = np.array(CLASSES, np.int32)


@pytest.fixture(scope='module')
def split():
  records = stored.source('frames')
  return Split({**r, 'label': c} for r, c in zip(records, CLASSES))


def train(split, steps, start=0, process=(0, 1), **changes):
  """The batches of some steps, of 6 clips each over all processes."""
  config = helpers.tiny_config('', '', batch_size=6, **changes)
  batches = pipeline.train_batches(
    split, config, stored.PREPROCESSING, start, process
  )
  return list(itertools.islice(batches, steps))


def test_every_class_is_drawn_equally_often_and_its_clips_in_turn():
  drawn = balance.Balanced(CLASSES, 3)
  numbers = [drawn[i] for i in range(3 * 70)]
  classes = np.array(CLASSES)[numbers].reshape(70, 3)
  for three in classes:  # also of the shortest stretch
    assert sorted(three) == [0, 1, 4]
  assert len({tuple(three) for three in classes}) == 6  # in every order
  for name, size in ((0, 5), (1, 1), (4, 7)):
    mine = [n for n in numbers if CLASSES[n] == name]
    turns = [mine[i : i + size] for i in range(0, 70, size)]
    everyone = [i for i, c in enumerate(CLASSES) if c == name]
    assert all(sorted(turn) == everyone for turn in turns)
    assert size == 1 or len(set(map(tuple, turns))) > len(turns) / 2


def test_a_number_depends_on_the_seed_and_its_place_only():
  drawn = balance.Balanced(CLASSES, 3)
  forwards = [drawn[i] for i in range(60)]
  other = balance.Balanced(CLASSES, 3)
  assert [other[i] for i in reversed(range(60))] == forwards[::-1]
  assert drawn[10**12] == other[10**12]
  different = balance.Balanced(CLASSES, 4)
  assert [different[i] for i in range(60)] != forwards


def test_training_has_each_class_equally_often(split):
  whole = train(split, 7, data__balance='sampling')
  for batch in whole:
    np.testing.assert_array_equal(np.sort(batch['label']), [0, 0, 1, 1, 4, 4])
  # Of one clip, frames and crop are drawn anew each time.
  frames = np.concatenate([b['frames'] for b in whole])
  only = frames[np.concatenate([b['label'] for b in whole]) == 0]
  assert len({clip.tobytes() for clip in only}) > 5
  # From any step on, on any number of processes and threads.
  for start, count, threads in ((0, 2, 1), (3, 3, 5)):
    parts = [
      train(
        *(split, 7 - start, start, (index, count)),
        data__balance='sampling',
        data__num_threads=threads,
      )
      for index in range(count)
    ]
    for batch, *together in zip(whole[start:], *parts, strict=True):
      for name, values in batch.items():
        found = np.concatenate([part[name] for part in together])
        np.testing.assert_array_equal(found, values)


def test_a_clip_weighs_more_the_rarer_its_class_is():
  weights = balance.class_weights(CLASSES, 5)
  np.testing.assert_allclose(weights, [13 / 15, 13 / 3, 0, 0, 13 / 21])
  assert weights[CLASSES].mean() == pytest.approx(1)


def test_mirrored_clips_count_where_they_belong():
  # 0 and 2 mirror each other, 1 is its own mirror image, 4 has none.
  mirrored = np.array([2, 1, 0, 3, -1])
  weights = balance.class_weights(CLASSES, 5, mirrored)
  # Every clip as it is, and again mirrored or, where that must not be, as it
  # is: 26 clips, of which 5 each of the classes 0 and 2.
  seen = CLASSES + [mirrored[c] if mirrored[c] >= 0 else c for c in CLASSES]
  counts = np.bincount(seen, minlength=5)
  np.testing.assert_array_equal(counts, [5, 2, 5, 0, 14])
  np.testing.assert_allclose(weights[counts > 0], 26 / 4 / counts[counts > 0])
  assert weights[3] == 0
  assert weights[seen].mean() == pytest.approx(1)


def test_what_is_done_is_said(split):
  lines = []

  def weights(mode):
    return balance.loss_weights(mode, split, 5, None, lines.append)

  assert weights('off') is None and not lines
  assert weights('sampling') is None
  np.testing.assert_array_equal(
    weights('loss'), balance.class_weights(CLASSES, 5)
  )
  assert lines == [
    'Classes have 1 to 7 training clips: each class is drawn equally often '
    "(data.balance='sampling').",
    'Classes have 1 to 7 training clips: a clip weighs 0.62 to 4.3 in the '
    "loss, by its class (data.balance='loss').",
  ]
  with pytest.raises(errors.InputError, match="balance is 'on'; choose from"):
    balance.check_mode('on')
