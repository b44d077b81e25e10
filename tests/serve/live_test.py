"""Viewers of a real server, and what they are told."""

import io
import time

import numpy as np
from PIL import Image
import pytest

from support import colours, serving

RED = serving.encode(colours.frame('red'))
BLUE = serving.encode(colours.frame('blue'))
IDLE = serving.encode(colours.frame('idle'))


@pytest.fixture
def alone(make_session):
  """A session that hears what a viewer sends, without a server."""
  session = make_session(1)
  session.add('')

  def show(seconds, jpeg):
    frame = np.asarray(Image.open(io.BytesIO(jpeg)))
    return session.step({'': frame}, {'': seconds})['']

  session.show = show
  yield session
  session.remove('')


def wait_until(condition):
  end = time.monotonic() + serving.WAIT
  while not condition():
    assert time.monotonic() < end
    time.sleep(0.005)


def assert_equal(told, answer, seconds):
  assert told['time'] == pytest.approx(seconds)
  assert told['label'] == answer.label
  assert told['score'] == pytest.approx(answer.score)
  assert told['events'] == [event._asdict() for event in answer.events]
  indices, probabilities = zip(*told['top'])
  order = np.argsort(-answer.probabilities, kind='stable')
  assert list(indices) == order.tolist()
  np.testing.assert_allclose(probabilities, answer.probabilities[order])


def test_a_viewer_is_told_what_a_session_says(running, alone):
  shades = np.linspace(0, 1, 8)[:, None, None, None]
  mixed = colours.frame('red') * shades + colours.frame('blue') * (1 - shades)
  frames = [RED, RED, IDLE, BLUE, *map(serving.encode, mixed.astype(np.uint8))]
  with serving.Client(running.address) as client:
    assert client.hello == serving.HELLO
    labels = []
    for number, jpeg in enumerate(frames):
      seconds = 0.25 * number
      told = client.ask(seconds, jpeg)
      assert_equal(told, alone.show(seconds, jpeg), seconds)
      labels.append(told['label'])
    assert {'red', 'blue'} <= set(labels)


def test_viewers_do_not_see_each_other(running, make_session, alone):
  with (
    serving.Client(running.address) as one,
    serving.Client(running.address) as two,
  ):
    for number in range(6):
      told = one.ask(0.25 * number, RED if number < 4 else BLUE)
      assert two.ask(0.25 * number, BLUE)['label'] == 'blue'
      expected = alone.show(0.25 * number, RED if number < 4 else BLUE)
      assert_equal(told, expected, 0.25 * number)


def test_a_slow_camera_shows_a_frame_several_times(running, alone):
  with serving.Client(running.address) as client:
    client.ask(0, RED)
    alone.show(0, RED)
    told = client.ask(0.75, BLUE)
    for seconds in (0.25, 0.5, 0.75):
      expected = alone.show(seconds, BLUE)
    assert_equal(told, expected, 0.75)


def test_frames_of_a_fast_camera_are_passed_over(running, alone):
  with serving.Client(running.address) as client:
    told = []
    for number in range(5):
      client.show(number / 12, RED if number % 3 == 0 else BLUE)
      if number % 3 == 0:  # 0 and 0.25 s are due, nothing between
        told.append(client.hear())
    for answer, seconds in zip(told, (0, 0.25), strict=True):
      assert_equal(answer, alone.show(seconds, RED), seconds)
      assert answer['dropped'] == 0


def test_another_stream_begins(running, alone):
  with serving.Client(running.address) as client:
    for number in range(4):
      client.ask(10 + 0.25 * number, RED)
    client.say(do='restart')
    told = client.hear()
    assert told['restarted'] == 1
    (event,) = told['events']
    assert (event['label'], event['end']) == ('red', 10.75)
    assert_equal(client.ask(0, BLUE), alone.show(0, BLUE), 0)


def test_the_end_tells_what_was_open(running):
  with serving.Client(running.address) as client:
    for number in range(4):
      client.ask(0.25 * number, RED)
    client.say(do='end')
    (event,) = client.hear()['events']
    assert event['label'] == 'red'
    assert client.closed() == (1000, '')


def test_beyond_the_slots_is_a_polite_refusal(running):
  address = running.address
  before = running.number('refused_total')
  with (
    serving.Client(address) as one,
    serving.Client(address),
    serving.Client(address),
  ):
    with serving.Client(address, token=None) as third:
      third.say(token='')
      code, reason = third.closed()
    assert (code, reason) == (
      1013,
      'All 3 places are taken; try again when somebody has left.',
    )
    assert running.number('refused_total') == before + 1
    assert one.ask(0, RED)['label'] == 'red'


def test_who_leaves_frees_a_slot(running):
  session = running.viewers.session
  for _ in range(5):
    with (
      serving.Client(running.address) as one,
      serving.Client(running.address) as two,
    ):
      assert one.ask(0, RED)['label'] == 'red'
      two.ask(0, BLUE)
      two.socket.socket.close()  # as a computer that is switched off
      one.say(do='end')
    wait_until(lambda: running.number('viewers') == 0)
  wait_until(lambda: not session.streams)


def test_a_step_that_outlives_the_server_tells_nobody(
  make_session, monkeypatch
):
  told = []
  with serving.running(make_session(1)) as running:
    viewers = running.viewers
    enter = viewers.enter
    monkeypatch.setattr(
      viewers, 'enter', lambda tell: told.append(tell) or enter(tell)
    )
    with serving.Client(running.address):
      pass
  (tell,) = told
  tell({'events': []})


def test_metrics_count(running):
  shown, seconds = 'steps_total', 'answer_seconds_count'
  before = running.number(shown, what='shown') or 0
  answered = running.number(seconds)
  with serving.Client(running.address) as client:
    client.ask(0, RED)
    client.ask(0.5, RED)
    assert running.number('viewers') == 1
  assert running.number(shown, what='shown') == before + 3
  assert running.number(seconds) == answered + 2
  assert running.number('slots') == 3
