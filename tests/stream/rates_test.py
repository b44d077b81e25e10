"""Trained on clips of one frame rate, a model decides alike at any other."""

import jax
import ml_collections
import numpy as np
import pytest

from support import helpers
from tsm_jax import program, sharding, stream
from tsm_jax.data import defaults, intervals
from tsm_jax.data.clips import codec
from tsm_jax.data.input import records
from tsm_jax.runs import checkpoints
from tsm_jax.stream.frames import pace

# The classes are speeds, which a network can only tell by the time between its
# frames: pixels per second of a bar that comes round again.
SPEEDS = {'slow': 10.0, 'fast': 40.0}
LABELS = list(SPEEDS)
SIZE, SECONDS, FPS, INTERVAL = 32, 1.2, 25, 0.2


def draw(label, fps, start):
  """The frames and their times of one scene, drawn at a frame rate."""
  times = np.arange(round(SECONDS * fps)) / fps
  columns = np.arange(SIZE)
  frames = []
  for place in start + SPEEDS[label] * times:
    near = abs((columns - place + SIZE / 2) % SIZE - SIZE / 2)
    row = np.clip(5 - near, 0, 1) * 200 + 20
    frame = np.broadcast_to(row[None, :, None], (SIZE, SIZE, 3))
    frames.append(frame.astype(np.uint8))
  return frames, times


def to_record(label, start):
  writer = codec.Writer(defaults.Options(quality=95))
  for frame in draw(label, FPS, start)[0]:
    writer.add(frame)
  frames, number = writer.end(), LABELS.index(label)
  return {'frames': frames, 'fps': np.float32(FPS), 'label': number}


@pytest.fixture(scope='module')
def trained():
  """A model of clips of 25 frames per second, 0.2 s apart."""
  config = helpers.tiny_config(
    '',
    '',
    batch_size=16,
    epochs=15.0,  # 30 steps
    base_learning_rate=0.8,
    model__width=16,
    model__direction='past',
    model__consensus='frames',
    model__consensus_from=2,
    data__frame_interval=INTERVAL,
    data__frame_interval_jitter=0.1,
  )
  mesh = sharding.create_mesh(jax.devices()[:1])
  built = program.build(config, mesh, len(LABELS), 32)
  source = [to_record(LABELS[i % 2], i) for i in range(32)]
  state, key = built.init(jax.random.key(0)), jax.random.key(0)
  rng = np.random.default_rng(0)
  for _ in range(built.total_steps):
    clips = [
      records.train_clip(source[i], rng, built.preprocessing, (1.0,))
      for i in rng.permutation(32)[:16]
    ]
    batch = {k: np.stack([clip[k] for clip in clips]) for k in clips[0]}
    state, _ = built.train_step(state, batch, key)
  interval = intervals.measure([30], [SECONDS], built.preprocessing)
  return checkpoints.TrainedModel(
    config=ml_collections.ConfigDict({**config.model, 'num_classes': 2}),
    variables={'params': state.params, 'batch_stats': state.batch_stats},
    labels=LABELS,
    preprocessing=built.preprocessing,
    meta={'frame_interval': interval.as_dict()},
    step=int(state.step),
  )


def decide(session, fps, interval, starts=(3.3, 11.7, 24.1)):
  """The labels of scenes by the logits of a stream's steps, and the steps."""
  found, steps = [], []
  for label in LABELS:
    for start in starts:
      session.add('camera')
      following, logits = pace.Pace(interval), []
      for frame, time in zip(*draw(label, fps, start)):
        for _ in range(following.take(time)):
          answer = session.step({'camera': frame})['camera']
          logits.append(answer.logits)
      session.remove('camera')
      found.append(LABELS[np.mean(logits[1:], axis=0).argmax()])
      steps.append(len(logits))
  return found, steps


def test_a_stream_of_any_frame_rate_is_decided_alike(trained):
  right, session = ['slow'] * 3 + ['fast'] * 3, stream.Session(trained)
  assert session.interval == INTERVAL
  for fps in (10, 24, 60):
    found, steps = decide(session, fps, session.interval)
    assert steps == [6] * 6  # of 1.2 s
    assert found == right, fps
  # Every frame of a fast camera: what is fast hardly moves between two.
  found, _ = decide(session, 60, 1 / 60)
  assert found[3:] == ['slow'] * 3
