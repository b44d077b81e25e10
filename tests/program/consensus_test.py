"""The loss of every frame from the k-th on, and what a clip's logits are."""

import functools

import jax
import numpy as np
import pytest

from support import nets
from tsm_jax import errors, models
from tsm_jax.models import mobilenet_v2
from tsm_jax.program import step

TINY = {'stage_sizes': (1,), 'width': 8, 'num_frames': 4, 'num_classes': 3}
TINY.update(direction='past', dropout=0.0, bn_stats='frozen')
SMOOTHING = 0.1


@functools.cache
def seen(**fields):
  """`(frames, variables, logits of every frame)` of a tiny network."""
  model = models.create_model({**TINY, **fields})
  frames = nets.clips(2, 4, 32, 32, 3)
  variables = nets.tiny_variables(model, frames)
  apply = jax.jit(model.clone(consensus='none').apply)
  return frames, variables, np.asarray(apply(variables, frames), np.float64)


@pytest.mark.parametrize('label', [[0, 2], [[0.7, 0.3, 0], [0, 0.5, 0.5]]])
def test_the_loss_is_the_mean_over_frames_and_clips(label):
  frames, variables, logits = seen()
  label = np.array(label, np.int32 if np.ndim(label) == 1 else np.float32)
  shares = np.eye(3)[label] if label.ndim == 1 else label
  target = ((1 - SMOOTHING) * shares + SMOOTHING / 3)[:, None]  # [B, 1, K]
  for first in (1, 3):
    model = models.create_model(
      {**TINY, 'consensus': 'frames', 'consensus_from': first}
    )
    (_, values), grads = jax.jit(step.make_gradient(model, SMOOTHING))(
      variables['params'],
      variables['batch_stats'],
      (frames, label),
      jax.random.key(0),
    )
    late = logits[:, first - 1 :]
    exp = np.exp(late - late.max(-1, keepdims=True))
    softmax = exp / exp.sum(-1, keepdims=True)
    loss = -(target * np.log(softmax)).sum(-1).mean()
    np.testing.assert_allclose(values['loss'], loss, rtol=1e-5)
    # Of softmax and cross-entropy, by the logits, which a bias is added to.
    np.testing.assert_allclose(
      grads['head']['bias'], (softmax - target).mean((0, 1)), atol=1e-6
    )
    right = late.mean(1).argmax(-1) == shares.argmax(-1)
    assert values['top1'] == right.mean()


@pytest.mark.parametrize(
  'fields',
  [
    {},
    {'shift': 'none'},
    {'name': 'mobilenet_v2', 'width_multiplier': 0.1},
  ],
)
def test_the_logits_of_a_clip_are_the_mean_from_that_frame_on(
  fields, monkeypatch
):
  monkeypatch.setattr(mobilenet_v2, 'STAGES', mobilenet_v2.STAGES[:2])
  frames, variables, logits = seen(**fields)
  for first in (1, 2, 4):
    more = {'consensus': 'frames', 'consensus_from': first}
    model = models.create_model({**TINY, **fields, **more})
    found = model.clip_logits(logits.astype(np.float32))
    np.testing.assert_allclose(found, logits[:, first - 1 :].mean(1), rtol=1e-5)
  clip = jax.jit(model.apply)(variables, frames)
  np.testing.assert_allclose(clip, logits[:, -1], rtol=1e-4, atol=1e-5)
  with pytest.raises(ValueError, match=r'has 3 frames.* begins with frame 4'):
    jax.eval_shape(model.apply, variables, frames[:, :3])


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    ({'consensus': 'each'}, "model.consensus is 'each'; choose from"),
    ({'consensus_from': 0}, 'consensus_from is 0; it must be a positive int'),
    ({'consensus_from': 2}, "is 2, but model.consensus is 'mean'.*'frames'"),
    (
      {'consensus': 'frames', 'consensus_from': 5},
      'consensus_from is 5, but a clip has 4 frames',
    ),
    (
      {'consensus': 'frames', 'temporal_pool': True},
      "consensus is 'frames', but with model.temporal_pool=True",
    ),
  ],
)
def test_what_cannot_be_trained_is_one_sentence(fields, message):
  with pytest.raises(errors.InputError, match=message):
    models.create_model({**TINY, **fields})
