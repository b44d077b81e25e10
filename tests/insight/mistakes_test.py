"""Which mistakes are the worst, and what is seen of them."""

import types

import numpy as np
import pytest

from support import helpers
from tsm_jax.data import defaults
from tsm_jax.data.clips import codec
from tsm_jax.data.input import preprocess, records
from tsm_jax.insight import mistakes
from tsm_jax.program import results

ONE = records.Views()


def test_the_surest_come_first():
  logits = np.log([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.2, 0.8], [0.5, 0.5]])
  result = results.Result(
    0.0,
    1.0,
    0.0,
    5,
    np.eye(2),
    logits,
    np.array([0, 0, 0, 0, 1]),
    list('abcde'),
  )
  found = mistakes.worst(result)
  assert [(m.number, m.clip, m.label, m.predicted) for m in found] == [
    (1, 'b', 0, 1),
    (3, 'd', 0, 1),
    (2, 'c', 0, 1),
    (4, 'e', 1, 0),  # of equal logits, the first counts
  ]
  assert [m.probability for m in found] == pytest.approx([0.8, 0.8, 0.6, 0.5])
  assert mistakes.worst(result, 2) == found[:2]


def preprocessing_for(modality, channels):
  return preprocess.Preprocessing(
    4,
    32,
    (0.5,) * channels,
    (0.25,) * channels,
    modality=modality,
    **defaults.USUAL.as_dict(),
  )


def test_frames_are_as_the_network_sees_them(tmp_path):
  path = helpers.write_video(tmp_path / 'a.mp4', 12)
  record, _ = codec.to_record(path)
  shown = preprocessing_for('rgb', 3)
  config = types.SimpleNamespace(
    eval=types.SimpleNamespace(clips=2, crops=3, full_resolution=True)
  )
  read = mistakes.reader([None, record], shown, config)
  views = records.Views(2, 3, True, validation=True)
  expected = records.eval_views(record, shown, views, 1)[0]
  np.testing.assert_array_equal(read(1), expected)


def test_flow_is_shown_as_red_and_green(tmp_path):
  helpers.write_flow(tmp_path / 'clip', 12)
  record, _ = codec.to_record(tmp_path / 'clip', modality='flow')
  seen = preprocessing_for('flow', 10)
  found = mistakes.pictures([record], seen, ONE, 0)
  assert found.shape == (4, 32, 32, 3)
  expected = records.eval_views(record, seen, ONE)[0]
  np.testing.assert_array_equal(found[..., :2], expected[..., :2])
  assert (found[..., 2] == 128).all()
