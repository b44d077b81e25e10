"""The thread that steps all viewers, without a network."""

import threading

import pytest

from support import colours, serving
from tsm_jax import errors
from tsm_jax.serve import metrics, slots, viewers

RED = serving.encode(colours.frame('red'))
BLUE = serving.encode(colours.frame('blue'))


@pytest.fixture(scope='module')
def compiled(make_session):
  return make_session(3)


@pytest.fixture
def held(compiled):
  """Slots of three viewers whose thread is started by the test."""
  found = slots.Slots(compiled, 0.25, metrics.Metrics(3))
  yield found
  for name in compiled.streams:
    compiled.remove(name)


def work(held):
  """Does what there is to do, in this thread."""
  while any(viewer.is_due() for viewer in held._viewers) or held._gone:
    held._step(held._wait())


def test_the_newest_frame_wins_and_others_are_counted(held):
  told = []
  viewer = held.enter(told.append)
  for number in range(4):
    held.show(viewer, BLUE if number < 3 else RED, 0.25 * number)
  held.show(viewer, BLUE, 0.8)  # is not due
  work(held)
  (answer,) = told
  assert (answer['label'], answer['time']) == ('red', 0.75)
  assert answer['dropped'] == 3


def test_a_picture_that_a_restart_replaces_is_counted(held):
  told = []
  viewer = held.enter(told.append)
  held.show(viewer, BLUE, 0)
  held.restart(viewer)
  held.show(viewer, RED, 0)
  work(held)
  restarted, answer = told
  assert restarted == {'restarted': 1, 'events': []}
  assert (answer['label'], answer['dropped']) == ('red', 1)
  counted = 'steps_total{what="dropped"} 1.0'
  assert counted in held._metrics.text().decode()


def test_all_who_wait_share_a_step(held, monkeypatch):
  told, steps = {name: [] for name in 'abc'}, []
  entered = {name: held.enter(told[name].append) for name in 'abc'}
  step = held.session.step
  monkeypatch.setattr(
    held.session, 'step', lambda *args: steps.append(args) or step(*args)
  )
  held.show(entered['a'], RED, 0)
  held.show(entered['c'], BLUE, 7)
  work(held)
  held.show(entered['a'], RED, 0.75)  # is shown three times
  held.show(entered['b'], BLUE, 1)
  work(held)
  assert [len(frames) for frames, _ in steps] == [2, 2, 1, 1]
  assert [len(told[name]) for name in 'abc'] == [2, 1, 1]
  assert [told[name][-1]['label'] for name in 'abc'] == ['red', 'blue', 'blue']


def test_who_does_not_listen_is_not_shown_more(held):
  told = []
  viewer = held.enter(told.append)
  for number in range(10):
    held.show(viewer, RED, 0.25 * number)
    work(held)
  assert len(told) == viewers.MOST_UNSENT
  for _ in told[:]:
    held.sent(viewer)
  work(held)
  assert told[-1]['time'] == 2.25
  assert told[-1]['dropped'] == 10 - viewers.MOST_UNSENT - 1


def test_a_slot_can_be_had_as_soon_as_somebody_leaves(held):
  entered = [held.enter(lambda _: None) for _ in range(3)]
  for viewer in entered:
    held.show(viewer, RED, 0)
  work(held)
  assert held.enter(print) is None
  held.leave(entered[1])
  told = []
  another = held.enter(told.append)
  held.show(another, BLUE, 0)
  work(held)
  assert told[0]['label'] == 'blue'
  names = {entered[0].name, entered[2].name, another.name}
  assert set(held.session.streams) == names


def test_the_picture_that_waits_is_shown_before_the_end(held):
  told = []
  viewer = held.enter(told.append)
  for number in range(3):
    held.show(viewer, RED, 0.25 * number)
    work(held)
    held.sent(viewer)
  held.show(viewer, RED, 0.75)
  held.end(viewer)
  held.show(viewer, RED, 1)  # comes too late
  work(held)
  *_, last, ended, end = told
  assert (last['time'], end) == (0.75, None)
  assert [event['end'] for event in ended['events']] == [0.75]
  assert not viewer.is_due()


def test_the_last_one_to_leave_is_noticed(compiled):
  emptied = []
  held = slots.Slots(
    compiled, 0.25, metrics.Metrics(3), lambda: emptied.append(1)
  )
  entered = [held.enter(lambda _: None) for _ in range(2)]
  for viewer in entered:
    held.show(viewer, RED, 0)
  work(held)
  for viewer, expected in zip(entered, ([], [1])):
    held.leave(viewer)
    work(held)
    assert emptied == expected


def test_a_model_that_fails_ends_the_thread(held, monkeypatch):
  def fail(*_):
    raise errors.InputError('The model gives no finite number.')

  monkeypatch.setattr(held.session, 'step', fail)
  viewer, failed = held.enter(print), []
  held.show(viewer, RED, 0)
  thread = threading.Thread(target=held.run, args=(lambda: failed.append(1),))
  thread.start()
  thread.join(serving.WAIT)
  assert failed == [1]
  assert str(held.error) == 'The model gives no finite number.'
