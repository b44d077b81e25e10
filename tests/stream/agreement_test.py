"""A stream is compared with its clips, and how early it is right."""

import functools

import jax
import numpy as np
import pytest

from support import nets, stored
from tsm_jax import models
from tsm_jax.data.input import records
from tsm_jax.models import folding
from tsm_jax.stream import agreement

TINY = {'stage_sizes': (1,), 'width': 8, 'num_frames': 4, 'num_classes': 13}
TINY['direction'] = 'past'


def test_running_logits_by_hand():
  logits = np.array([[[0.0], [4.0], [2.0], [6.0]]])
  mean = models.create_model(TINY)
  found = agreement.running_logits(mean, logits)
  np.testing.assert_allclose(found.ravel(), [0, 2, 2, 3])
  late = models.create_model(
    {**TINY, 'consensus': 'frames', 'consensus_from': 3}
  )
  # Of the first two there is nothing better than their own mean.
  found = agreement.running_logits(late, logits)
  np.testing.assert_allclose(found.ravel(), [0, 2, 2, 4])
  for model in (mean, late):
    np.testing.assert_allclose(
      agreement.running_logits(model, logits)[:, -1], model.clip_logits(logits)
    )


def compared(stream, rounding=0.01):
  """Three clips of two frames, of the labels 0, 1, 1."""
  clip = np.array([[3.0, 1.0], [1.0, 5.0], [1.0, 0.99]])
  first = np.array([[1.0, 3.0], [1.0, 5.0], [1.0, 0.0]])
  running = np.stack([first, np.array(stream)], axis=1)
  return agreement.compare(clip, running, np.array([0, 1, 1]), rounding)


def test_what_is_compared_by_hand():
  found = compared([[3.0, 1.0], [1.0, 5.001], [1.0, 0.99]])
  assert found.num_clips == found.equal == 3
  assert found.difference == pytest.approx(0.001)
  assert found.rounding == pytest.approx(0.05)  # of the largest logit, 5
  assert found.clip_top1 == found.stream_top1 == pytest.approx(2 / 3)
  assert found.early == pytest.approx((1 / 3, 2 / 3))
  assert list(found.lines()) == [
    'stream top-1 66.67% = clip top-1 66.67%: 3 of 3 validation clips have the '
    'same top-1 frame by frame, logits differ by at most 1.0e-03.',
    'Early recognition, top-1 after so many of 2 frames: 1: 33.3%, 2: 66.7%.',
  ]
  assert found.as_dict()['early'][0] == {
    'frames': 1,
    'share': 0.5,
    'top1': pytest.approx(1 / 3),
  }


def test_another_top1_is_told_and_a_warning_beyond_rounding():
  # Two classes as good as equal: rounding decides, and may do so.
  found = compared([[3.0, 1.0], [1.0, 5.0], [0.98, 1.0]])
  assert found.is_exact() and found.equal == 2
  line, _ = found.lines()
  assert 'stream top-1 100.00% ~ clip top-1 66.67%: 2 of 3' in line
  found = compared([[1.0, 3.0], [1.0, 5.0], [1.0, 0.99]])
  warning, line, _ = found.lines()
  assert warning.startswith('WARNING: the stream is not the clip: 2 of 3')
  assert 'stream top-1 33.33% ~ clip top-1 66.67%' in line
  # The same top-1 everywhere does not excuse other logits.
  warning, *_ = compared([[4.0, 1.0], [1.0, 5.0], [1.0, 0.99]]).lines()
  assert 'WARNING' in warning and '3 of 3' in warning


@functools.cache
def clips(count):
  return stored.source('frames')[:count]


@pytest.mark.parametrize(
  'fields', [{}, {'consensus': 'frames', 'consensus_from': 3}]
)
def test_a_stream_of_stored_clips_is_the_clip(fields):
  model = models.create_model({**TINY, **fields})
  how = stored.PREPROCESSING  # 4 frames of 28 pixels
  source = clips(11)
  frames = np.stack(
    [records.eval_views(r, how, records.Views())[0] for r in source]
  )
  seen = np.asarray(how.normalize(frames))
  variables = nets.tiny_variables(model, seen)
  apply = jax.jit(model.clone(consensus='none').apply)
  mean = np.asarray(apply(variables, seen)).mean((0, 1))
  variables['params']['head']['bias'] -= mean  # so that clips differ
  each = np.asarray(apply(variables, seen))
  first = fields.get('consensus_from', 1) - 1
  # Of every beginning of the clips, in one piece.
  top1 = [
    each[:, first if t >= first else 0 : t + 1].mean(1).argmax(-1)
    for t in range(4)
  ]
  source = [{**r, 'label': k} for r, k in zip(source, top1[-1])]
  found = agreement.measure(model, variables, how, source)
  assert (found.num_clips, found.equal) == (11, 11)
  assert 0 < found.difference < found.rounding
  assert found.early == tuple((k == top1[-1]).mean() for k in top1)
  assert found.early[0] < found.early[-1] == found.clip_top1 == 1


def test_a_bounded_number_of_clips_is_spread_over_the_split():
  class Source(list):
    def __getitem__(self, number):
      taken.append(number)
      return super().__getitem__(number)

  taken = []
  model = models.create_model({**TINY, 'shift': 'none'})
  variables = nets.tiny_variables(model, np.zeros((1, 4, 28, 28, 3)))
  found = agreement.measure(
    model, variables, stored.PREPROCESSING, Source(clips(11)), max_clips=3
  )
  assert taken == [0, 5, 10]
  assert found.num_clips == 3


def test_what_is_compared_is_what_a_session_computes_with(monkeypatch):
  fold = folding.fold

  def wrong(*args, **kwargs):
    params = fold(*args, **kwargs)['params']
    head = {**params['head'], 'bias': params['head']['bias'] + 1}
    return {'params': {**params, 'head': head}}

  monkeypatch.setattr(folding, 'fold', wrong)
  model = models.create_model({**TINY, 'shift': 'none'})
  variables = nets.tiny_variables(model, np.zeros((1, 4, 28, 28, 3)))
  found = agreement.measure(model, variables, stored.PREPROCESSING, clips(1))
  assert found.difference == pytest.approx(1, abs=1e-3)
  assert not found.is_exact()


@pytest.mark.parametrize(
  ('fields', 'expected'),
  [
    ({}, True),
    ({'direction': 'both'}, False),
    ({'direction': 'both', 'shift': 'none'}, True),
    ({'non_local': True}, False),
    ({'temporal_pool': True}, False),
  ],
)
def test_which_models_can_stream(fields, expected):
  model = models.create_model({**TINY, 'stage_sizes': (1, 1), **fields})
  assert agreement.can_stream(model) == expected
