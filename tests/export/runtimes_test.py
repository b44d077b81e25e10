"""An exported model in its own runtime is the model that was trained."""

import json

import numpy as np
import pytest

from support import exported, leaving
from tsm_jax import errors, stream
from tsm_jax.export import card, runtimes
from tsm_jax.export.runner import engine
from tsm_jax.stream.events import rules

RULE = rules.Rule(window=0.2, on=0.4, off=0.2, min_length=0, merge_gap=0)
EVERY = {'seconds': 0.1, 'low': 0.1, 'high': 0.1}


@pytest.fixture(scope='module')
def trained():
  found = leaving.trained(direction='past', stage_sizes=(1,))
  found.meta['frame_interval'] = EVERY
  return found


def opened(trained, out, batch):
  return runtimes.open(exported.write(out, trained, 'step', batch, RULE))


@pytest.fixture(scope='module')
def runtime(trained, tmp_path_factory):
  """Of a batch of two."""
  return opened(trained, tmp_path_factory.mktemp('export') / 'out', 2)


def moving(count, seed):
  """Frames that change from one label to another, of an odd size."""
  ends = leaving.images(2, 45, 61, seed=seed).astype(float)
  shares = np.linspace(0, 1, count)[:, None, None, None]
  return (ends[0] * (1 - shares) + ends[1] * shares).astype(np.uint8)


def test_a_session_answers_as_on_the_checkpoint(trained, runtime, tmp_path):
  sessions = [
    stream.Session(trained, 3, RULE),
    runtimes.stream(runtime, slots=3),
    runtimes.stream(opened(trained, tmp_path / 'any', None), slots=3),
  ]
  videos = {name: moving(9, seed) for seed, name in enumerate('abc')}
  told = []
  for session in sessions:
    session.compile()
    answers, events = [], []
    for name in 'abc':
      session.add(name)
    for t in range(9):
      # One is left out at times, one begins anew in the middle.
      shown = [name for name in 'abc' if name != 'b' or t % 3]
      if t == 4:
        events += session.reset('c')
      found = session.step({name: videos[name][t] for name in shown})
      answers += [found[name] for name in shown]
      events += [e for name in shown for e in found[name].events]
    for name in 'abc':
      events += session.remove(name)
    told.append((answers, events))
  (expected, events), *others = told
  assert len(events) > 2
  for session, (found, same) in zip(sessions[1:], others, strict=True):
    assert session.interval == EVERY['seconds']
    np.testing.assert_allclose(
      [a.probabilities for a in found],
      [a.probabilities for a in expected],
      atol=1e-5,
    )
    assert [a.label for a in found] == [a.label for a in expected]
    for event, other in zip(events, same, strict=True):
      assert other._replace(score=0) == event._replace(score=0)
      assert other.score == pytest.approx(event.score, abs=1e-5)


def test_what_goes_in_has_its_name_type_and_shape(runtime):
  inputs = {
    t.name: np.zeros([n or 1 for n in t.shape], t.dtype)
    for t in runtime.card.inputs
  }
  outputs = runtime.run(inputs)
  assert list(outputs) == [t.name for t in runtime.card.outputs]
  frames = inputs['frames']
  for wrong, message in (
    ({'frames': frames.astype(np.float32)}, 'frames is float32.*must be uint8'),
    (
      {'frames': frames[:, 1:]},
      r'frames is uint8 \[., 35.*must be uint8 \[.*36',
    ),
    ({'image': frames}, 'has the tensors .*image.*they must be frames, reset'),
  ):
    with pytest.raises(errors.InputError, match=message):
      runtime.run({**inputs, **wrong})


def test_threads_are_not_for_jax(runtime):
  with pytest.raises(errors.InputError, match='threads is 2, but JAX takes'):
    runtimes.open(runtime.folder, threads=2)


def copied(folder, out, **fields):
  """The export again, whose card says something else."""
  out.mkdir()
  for path in folder.iterdir():
    if path.is_file():
      (out / path.name).write_bytes(path.read_bytes())
  content = json.loads((folder / card.FILE).read_text())
  files = {k: v for k, v in content['files'].items() if '/' not in k}
  (out / card.FILE).write_text(
    json.dumps({**content, 'files': files, **fields})
  )
  return out


def test_a_clip_is_no_stream(runtime, tmp_path):
  out = copied(runtime.folder, tmp_path / 'out', what='clip')
  with pytest.raises(
    errors.InputError, match=r'takes whole clips.*--what=step'
  ):
    runtimes.Batch(out, 1)


def test_another_version_of_the_runtime_is_named(runtime, tmp_path):
  out = copied(runtime.folder, tmp_path / 'out', versions={'jax': '0.9.0'})
  lines = []
  runtimes.open(out, log=lines.append)
  (line,) = lines
  assert line.startswith('The model was proven in jax 0.9.0, and runs in ')
  runtimes.open(runtime.folder, log=lines.append)
  assert len(lines) == 1


def test_a_missing_runtime_is_named(runtime, monkeypatch):
  lost = ('model.stablehlo', 'no-such-runtime', 'no_such_runtime.interpreter')
  monkeypatch.setitem(engine.FORMATS, 'stablehlo', lost)
  with pytest.raises(errors.InputError, match=r'pip install no-such-runtime$'):
    runtimes.open(runtime.folder)


def test_a_runtime_by_another_name_is_no_trouble():
  """Such as onnxruntime-gpu, of which no onnxruntime is known to pip."""
  with (
    pytest.raises(errors.InputError, match="'here' cannot be run by none: "),
    engine._explained('here', 'none', 'run'),
  ):
    raise ValueError


def test_what_no_runtime_opens_is_named(runtime, tmp_path):
  out = copied(runtime.folder, tmp_path / 'out')
  (out / 'model.stablehlo').write_bytes(b'no model')
  card.write(out, runtime.card)
  with pytest.raises(
    errors.InputError, match="stablehlo' cannot be opened by jax"
  ):
    runtimes.open(out)
