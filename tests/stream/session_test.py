"""Many cameras in one program: each as if it were alone."""

import dataclasses

import jax
import ml_collections
import numpy as np
from PIL import Image
import pytest

from support import nets
from tsm_jax import checkpoints, errors, models, stream
from tsm_jax.data.input import preprocess
from tsm_jax.stream import batch
from tsm_jax.stream.events import rules

LABELS = ['idle', 'wave', 'clap']
SIZE = 32
CONFIG = {
  **nets.CONFIG,
  'num_classes': 3,
  'stage_sizes': (1, 1),
  'width': 8,
  'direction': 'past',
}
META = {'frame_interval': {'seconds': 0.5, 'low': 0.5, 'high': 0.5}}


@pytest.fixture(scope='module')
def trained():
  config = ml_collections.ConfigDict(CONFIG)
  model = models.create_model(config)
  variables = nets.tiny_variables(model, np.zeros((1, 1, SIZE, SIZE, 3)))
  how = preprocess.Preprocessing(4, SIZE, (0.5,), (0.25,), short_side=40)
  return checkpoints.TrainedModel(config, variables, LABELS, how, META, 7)


@pytest.fixture(scope='module')
def compiled(trained):
  """Of three slots; the tests leave no stream in it."""
  session = stream.Session(trained, slots=3)
  session.compile()
  return session


@pytest.fixture
def session(compiled):
  yield compiled
  for name in compiled.streams:
    compiled.remove(name)


@pytest.fixture(scope='module')
def clip_logits(trained):
  """The logits of each of five frames `[5, S, S, 3]`, by a whole clip."""
  model = trained.module().clone(consensus='none')
  apply = jax.jit(model.apply)

  def logits(frames):
    frames = trained.preprocessing.normalize(np.stack(frames))
    return np.asarray(apply(trained.variables, frames[None])[0])

  return logits


def images(count, height=SIZE + 4, width=SIZE + 4, seed=0):
  """Frames of which evaluation takes the centre, unscaled."""
  rng = np.random.default_rng(seed)
  return rng.integers(0, 256, (count, height, width, 3), np.uint8)


def centre(frames):
  return frames[:, 2:-2, 2:-2]


def assert_close(answers, expected):
  found = np.stack([answer.logits for answer in answers])
  largest = np.abs(expected).max()
  np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * largest)


def test_every_stream_is_its_own_clip(session, clip_logits, caplog):
  frames = {name: images(5, seed=i) for i, name in enumerate('abc')}
  answers = {name: [] for name in 'abc'}

  def show(*names):
    shown = {name: frames[name][len(answers[name])] for name in names}
    for name, answer in session.step(shown).items():
      answers[name].append(answer)

  caplog.set_level('WARNING', logger='jax')  # a command may have silenced it
  with jax.log_compiles():
    session.add('a')
    show('a')
    session.add('b')
    show('b', 'a')
    show('b')  # a waits
    session.add('c')
    show('a', 'b', 'c')
    assert session.streams == ('a', 'b', 'c')
    assert session.remove('b') == ()
    show('c')
    assert session.reset('c') == ()
    show('c', 'a')
    session.add('b')  # in the slot of the one before
    for _ in range(2):
      show('c', 'b')
    show('a')
  compilations = [r.getMessage() for r in caplog.records]
  assert not [line for line in compilations if 'ompil' in line]
  of_a, of_b, of_c = (clip_logits(centre(frames[name])) for name in 'abc')
  assert_close(answers['a'], of_a)
  assert_close(answers['b'][:3], of_b[:3])
  anew = np.concatenate([frames['b'][3:], frames['b'][:3]])
  assert_close(answers['b'][3:], clip_logits(centre(anew))[:2])
  assert_close(answers['c'][:2], of_c[:2])
  anew = np.concatenate([frames['c'][2:], frames['c'][:2]])
  assert_close(answers['c'][2:], clip_logits(centre(anew))[:3])


def test_rows_at_once_answer_as_row_by_row(trained, session, monkeypatch):
  monkeypatch.setattr(jax, 'default_backend', lambda: 'tpu')
  at_once = stream.Session(trained, slots=3)
  for name in 'ab':
    session.add(name)
    at_once.add(name)
  for shown in ('a', 'ab', 'b', 'ab'):
    frames = {name: images(1, seed=len(shown))[0] for name in shown}
    found, expected = (s.step(frames) for s in (at_once, session))
    assert_close(
      found.values(), np.stack([x.logits for x in expected.values()])
    )


@pytest.mark.parametrize('count', [2, 3])  # 2: a and b; c is alone
def test_rows_of_small_frames_together_answer_as_alone(
  count, trained, monkeypatch
):
  monkeypatch.setattr(batch, '_TOGETHER', count)
  together = stream.Session(trained, slots=3)
  together.compile()
  monkeypatch.setattr(batch, '_SMALL_FRAME', SIZE - 1)
  alone = stream.Session(trained, slots=3)
  for name in 'abc':
    together.add(name)
    alone.add(name)
  for number, shown in enumerate(('abc', 'a', 'bc', 'c', 'abc', 'ab')):
    if number == 4:
      together.reset('b')
      alone.reset('b')
    frames = dict(zip(shown, images(3, seed=number)))
    found, expected = (s.step(frames) for s in (together, alone))
    assert list(found) == list(expected) == list(shown)
    assert_close(
      found.values(), np.stack([x.logits for x in expected.values()])
    )


def test_an_option_that_xla_does_not_know_is_left_out(
  trained, session, monkeypatch
):
  options = {'xla_cpu_of_no_version': 'x', **batch._OPTIONS}
  monkeypatch.setattr(batch, '_OPTIONS', options)
  other = stream.Session(trained)
  session.add('a')
  other.add('a')
  frames = {'a': images(1)[0]}
  found, expected = (s.step(frames)['a'] for s in (other, session))
  assert_close([found], expected.logits[None])


def test_frames_of_any_size_are_those_of_evaluation(session, clip_logits):
  # To the short side of what is stored, 40, unless it is smaller, to 256/224
  # of 32, which is 36, and its centre.
  frame = images(1, 100, 61)[0]
  stored = Image.fromarray(frame).resize(
    (40, 40 * 100 // 61), Image.Resampling.BILINEAR
  )
  scaled = stored.resize((36, 36 * 65 // 40), Image.Resampling.BILINEAR)
  assert scaled.size == (36, 58)
  small = images(1, 20, 30)[0]
  large = Image.fromarray(small).resize((54, 36), Image.Resampling.BILINEAR)
  expected = clip_logits(
    [
      np.asarray(scaled)[13:45, 2:34],
      np.asarray(large)[2:34, 11:43],
      *images(3, SIZE, SIZE),
    ]
  )
  session.add('door')
  found = [session.step({'door': image})['door'] for image in (frame, small)]
  assert_close(found, expected[:2])


def test_an_answer_is_whole(session):
  session.add(0)
  assert session.step({}) == {}
  answer = session.step({0: images(1)[0]})[0]
  assert answer.logits.dtype == answer.probabilities.dtype == np.float32
  powers = np.exp(answer.logits.astype(float))
  np.testing.assert_allclose(answer.probabilities, powers / powers.sum(), 1e-5)
  assert answer.label == LABELS[np.argmax(powers)]
  assert answer.score == pytest.approx(powers.max() / powers.sum(), 1e-5)
  assert answer.events == ()
  assert (session.labels, session.interval) == (LABELS, 0.5)


def biased(trained, *bias, kernel=0.0):
  """A model that says the same of every frame."""
  params = dict(trained.variables['params'])
  shape = params['head']['kernel'].shape
  params['head'] = {
    'kernel': np.full(shape, kernel, np.float32),
    'bias': np.asarray(bias, np.float32),
  }
  variables = {**trained.variables, 'params': params}
  return dataclasses.replace(trained, variables=variables)


def test_a_rule_makes_events_of_each_stream(trained):
  rule = rules.Rule(window=0, background=('idle',), shift_start=0)
  session = stream.Session(biased(trained, 0, 9, 0), slots=2, rule=rule)
  frame = images(1)[0]
  session.add('a')
  session.add('b')
  first = session.step({'a': frame})['a']
  assert (first.label, first.score) == ('', 0.0)  # it is not long enough
  for _ in range(3):  # every half second
    answers = session.step({'a': frame, 'b': frame})
  assert answers['a'].label == 'wave'
  assert answers['a'].score == pytest.approx(1, abs=1e-3)
  (event,) = session.reset('a')
  assert (event.start, event.end, event.label) == (0, 1.5, 'wave')
  later = session.step({'a': frame, 'b': frame}, {'a': 7.0, 'b': 7.5})
  assert (later['a'].label, later['b'].label) == ('', 'wave')
  assert [e.end for e in session.end('b')] == [7.5]
  assert session.remove('a') == session.remove('b') == ()


def test_the_colours_are_exchanged_where_the_rule_says_so(trained, session):
  turned = stream.Session(trained, rule=rules.Rule(bgr=True))
  turned.add('a')
  session.add('a')
  frame = images(1)[0]
  found = turned.step({'a': frame})['a']
  assert_close([found], session.step({'a': frame[..., ::-1]})['a'].logits[None])


@pytest.mark.parametrize(
  ('fields', 'message'),
  [
    ({'direction': 'both'}, "direction is 'both'.*next frame.*'past'"),
    ({'non_local': True}, 'non_local is True.*whole clips'),
    ({'temporal_pool': True}, 'temporal_pool is True.*whole clips'),
  ],
)
def test_a_model_that_looks_ahead_is_refused(trained, fields, message):
  config = ml_collections.ConfigDict({**CONFIG, **fields})
  model = dataclasses.replace(trained, config=config)
  with pytest.raises(errors.InputError, match=message):
    stream.Session(model)


@pytest.mark.parametrize('modality', ['flow', 'rgb_diff'])
def test_a_model_of_several_frames_is_refused(trained, modality):
  how = dataclasses.replace(trained.preprocessing, modality=modality)
  model = dataclasses.replace(trained, preprocessing=how)
  with pytest.raises(errors.InputError, match=f"'{modality}'.*'rgb'"):
    stream.Session(model)


def test_names_are_looked_up(session):
  session.add('a')
  with pytest.raises(errors.InputError, match="stream 'a' already"):
    session.add('a')
  for call in (session.remove, session.reset, session.end):
    with pytest.raises(errors.InputError, match=r"no stream 'door'.*'a'"):
      call('door')
  with pytest.raises(errors.InputError, match="no stream 'b'"):
    session.step({'a': images(1)[0], 'b': images(1)[0]})
  session.add('b')
  session.add('c')
  with pytest.raises(errors.InputError, match="'d': all 3 are taken"):
    session.add('d')


@pytest.mark.parametrize(
  ('frame', 'found'),
  [
    (np.zeros((8, 8, 3), np.float32), r'float32 \[8, 8, 3\]'),
    (np.zeros((8, 8), np.uint8), r'uint8 \[8, 8\]'),
    (np.zeros((8, 8, 4), np.uint8), r'uint8 \[8, 8, 4\]'),
    (np.zeros((1, 8, 8, 3), np.uint8), r'uint8 \[1, 8, 8, 3\]'),
    (np.zeros((0, 8, 3), np.uint8), r'uint8 \[0, 8, 3\]'),
  ],
)
def test_what_is_no_frame_is_named(session, frame, found):
  session.add('a')
  with pytest.raises(errors.InputError, match=f"'a': The frame is {found}"):
    session.step({'a': frame})


def test_other_mistakes_are_sentences(trained):
  with pytest.raises(errors.InputError, match='slots is 0'):
    stream.Session(trained, slots=0)
  broken = stream.Session(biased(trained, 0, np.nan, 0))
  broken.add('a')
  with pytest.raises(errors.InputError, match="'a': the model gives no finite"):
    broken.step({'a': images(1)[0]})
  old = dataclasses.replace(trained, meta={})
  timeless = stream.Session(old, rule=rules.Rule())
  timeless.add('a')
  with pytest.raises(errors.InputError, match='give the times'):
    timeless.step({'a': images(1)[0]})
  with pytest.raises(errors.InputError, match="'a': its frame has no time"):
    timeless.step({'a': images(1)[0]}, {'b': 1})
