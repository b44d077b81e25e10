"""Cameras: a real server of RTSP, and OpenCV's capture; what one may lose."""

import threading
import time
import types

import cv2
import numpy as np
import pytest

from support import gstreamer_camera, helpers, rtsp_server
from tsm_jax import errors
from tsm_jax.stream import watch
from tsm_jax.stream.frames import (
  cameras,
  choice,
  devices,
  due,
  files,
  pace,
  rtsp,
  timed,
)

pytestmark = pytest.mark.usefixtures('quiet_ffmpeg')


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
  monkeypatch.setattr(cameras, 'STALL', 0.5)
  monkeypatch.setattr(cameras, 'FIRST_PAUSE', 0.05)
  monkeypatch.setattr(cameras, '_WAIT', 0.01)


@pytest.fixture(scope='module')
def film(tmp_path_factory):
  """The path of a film in MPEG-TS."""
  options = {'preset': 'ultrafast', 'g': '12'}
  path = tmp_path_factory.mktemp('film') / 'a.ts'
  return helpers.write_video(path, 36, options=options)


def test_a_camera_gives_the_frames_of_the_file(film):
  expected = [(frame.time, frame.image) for frame in files.read(film)]
  with rtsp_server.serving(film.read_bytes()) as server:
    found = []
    with rtsp.read(server.address, lambda: False, None) as camera:
      for frame in camera:
        found.append((frame.time, frame.image))
        if len(found) == 35:  # the end of the last one is that of its packet
          break
  times, images = zip(*found)
  np.testing.assert_allclose(times, [time for time, _ in expected[:35]])
  np.testing.assert_array_equal(images, [image for _, image in expected[:35]])


@pytest.mark.slow  # the film comes at its speed
def test_another_server_gives_them_too(tmp_path, monkeypatch):
  monkeypatch.setattr(cameras, 'STALL', 10.0)
  options = {'preset': 'ultrafast', 'g': '12'}
  path = helpers.write_video(tmp_path / 'a.mp4', 60, options=options)
  expected = [(frame.time, frame.image) for frame in files.read(path)][:48]
  with gstreamer_camera.serving(path) as address:
    with rtsp.read(address, lambda: False, None) as camera:
      assert camera.rate == 24
      found = [next(camera) for _ in expected]
    images = [frame.image for frame in found]
  times = [time for time, _ in expected]
  np.testing.assert_allclose([f.time for f in found], times, atol=0.001)
  np.testing.assert_array_equal(images, [image for _, image in expected])


def test_a_camera_that_is_away_is_named_and_taken_up_again(film):
  data, lines, frames = film.read_bytes(), [], []
  # After its film, it sends nothing for a while, and then the film again.
  with rtsp_server.serving(data, None, data) as server:
    camera = rtsp.read(server.address, lambda: len(frames) == 40, lines.append)
    start = time.monotonic()
    frames += [next(camera) for _ in range(40)]
    passed = time.monotonic() - start
    camera.close()
  name = server.address
  assert lines[0] == f'{name} has ended; it is taken up when it is back.'
  assert lines[1].startswith(f'{name} is back after ') and len(lines) == 2
  assert [i for i, frame in enumerate(frames) if frame.anew] == [35]
  times = [frame.time for frame in frames]
  assert times == sorted(times)
  # While it was away, time passed as on this machine's clock.
  assert 0.5 < times[35] <= max(passed, times[34]) + 1e-6


def test_an_address_that_refuses_or_is_silent(film):
  with rtsp_server.serving(film.read_bytes(), user='me:secret') as server:
    address = server.address
    with rtsp.read(address, lambda: False, None) as camera:
      assert next(camera).time == 0 and 'secret' not in camera.name
    with pytest.raises(errors.InputError, match=r'refuses.*401') as told:
      rtsp.read(address.replace('me:', 'you:'), lambda: False, None)
    assert 'secret' not in str(told.value)
  with pytest.raises(errors.InputError, match='cannot be reached') as told:
    rtsp.read(address, lambda: False, None)
  assert 'refused' in str(told.value) and 'secret' not in str(told.value)
  with (
    rtsp_server.serving(None) as server,
    pytest.raises(errors.InputError, match=r'nothing came for 0\.5 s'),
  ):
    rtsp.read(server.address, lambda: False, None)


@pytest.mark.parametrize(
  'address, shown',
  [
    ('rtsp://me:pass@host:554/1', 'rtsp://host:554/1'),
    ('RTSPS://me:pa/ss@host', 'RTSPS://host'),
    ('rtsp://h/user=a_password=b_channel=1', 'rtsp://h/***_***_channel=1'),
    ('rtsp://h/live?channel=1&pwd=b', 'rtsp://h/live?channel=1&***'),
    ('rtsp://h/1?loginpas=b;q=1&apiKey=b#x', 'rtsp://h/1?***;q=1&***#x'),
  ],
)
def test_a_password_is_not_shown(address, shown):
  ((name, live, _),) = choice.sources(address, lambda: False, None)
  assert (name, live) == (shown, True)


def test_a_camera_that_does_not_exist():
  with pytest.raises(errors.InputError, match=r'^Camera 63 cannot be opened'):
    devices.read(63, lambda: False, None)


def test_a_camera_of_this_machine(film, monkeypatch):
  expected = [frame.image for frame in files.read(film)]
  lines, frames = [], []
  real = cv2.VideoCapture
  # There is no camera here; OpenCV's capture of a file has the same methods.
  monkeypatch.setattr(cv2, 'VideoCapture', lambda index: real(str(film)))
  ((name, live, _),) = choice.sources('3', lambda: False, None)
  assert (name, live) == ('camera 3', True)
  camera = devices.read(3, lambda: len(frames) == 40, lines.append)
  frames += [next(camera) for _ in range(40)]
  camera.close()
  for frame, image in zip(frames, expected):
    assert abs(frame.image.astype(int) - image).mean() < 3
  assert 'gives no more pictures' in lines[0]
  assert [i for i, frame in enumerate(frames) if frame.anew] == [36]


def images(times):
  """Frames whose picture is their number, at these times."""
  for number, moment in enumerate(times):
    yield timed.Frame(moment, lambda number=number: number)


class Source:
  """What a camera sends, when it is told to."""

  def __init__(self, frames):
    self.frames, self.gate, self.closed = frames, threading.Semaphore(0), False

  def __iter__(self):
    return self

  def __next__(self):
    self.gate.acquire()
    return next(self.frames)

  def close(self):
    self.closed = True


def test_only_the_newest_frame_waits_and_others_are_counted():
  camera = Source(images([0.0, 0.04, 0.1, 0.2, 0.21, 0.5]))
  newest = due.Newest(camera, pace.Pace(0.1))
  camera.gate.release()
  frame, count = next(newest)
  assert (frame.image, count) == (0, 1)
  # While it is computed, all others come; the last stands for three steps.
  camera.gate.release(6)
  newest._thread.join()
  frame, count = next(newest)
  assert (frame.image, count, newest.dropped) == (5, 3, 2)
  with pytest.raises(StopIteration):
    next(newest)
  newest.close()
  assert camera.closed


def test_what_replaces_the_first_frame_after_an_absence_begins_anew():
  first, second = images([9.0, 9.1])
  anew = timed.Frame(first.time, first.make, True)
  assert second.after(anew).anew and not second.after(first).anew
  paced = due.Paced(iter([first, second, anew]), pace.Pace(0.1))
  assert [count for _, count in paced] == [1, 1, 1]


def test_an_error_of_the_thread_is_raised_where_it_is_read():
  def fails():
    yield from images([0.0])
    raise errors.InputError('It broke.')

  newest = due.Newest(fails(), pace.Pace(0.1))
  newest._thread.join()
  assert next(newest)[0].image == 0
  with pytest.raises(errors.InputError, match='It broke'):
    next(newest)


def test_a_silent_camera_does_not_keep_the_program(monkeypatch):
  monkeypatch.setattr(due, 'LAST_WAIT', 0.05)
  camera, stopped = Source(images([0.0])), []
  newest = due.Newest(camera, pace.Pace(0.1), lambda: bool(stopped))
  threading.Timer(0.05, stopped.append, [True]).start()
  assert not list(newest)
  newest.close()
  assert not camera.closed  # a thread still reads
  camera.gate.release(2)
  newest._thread.join()


def test_a_camera_that_stays_away_ends_after_the_seconds_asked(monkeypatch):
  monkeypatch.setattr(cameras, 'LONGEST_PAUSE', 0.05)
  monkeypatch.setattr(due, 'WAIT', 0.01)
  camera, stop = Source(images([0.0])), types.SimpleNamespace(signal=None)
  newest = watch._frames(camera, True, pace.Pace(0.1), stop, seconds=0.05)
  assert not list(newest)
  camera.gate.release(2)
  newest.close()


class _Set:
  """Ten frames of a camera, whose clock is set to an hour later."""

  rate, notes, ending = 10, (), ''

  def __iter__(self):
    for i in range(10):
      yield timed.Frame(i / 10 + 3600 * (i >= 5), lambda: None)

  def close(self):
    pass


def test_a_clock_that_is_set_moves_no_event():
  lines = []
  camera = cameras.Camera('door', _Set, lambda: False, lines.append)
  times = [next(camera).time for _ in range(10)]
  assert times == sorted(times) and 0.7 < times[-1] < 2
  assert lines == ['The clock of door was set; this is passed over.']
