"""What a terminal shows while a stream goes on, and nothing else does."""

import io
import re
import sys
import time

import pytest

from tsm_jax.stream import progress


class Screen(io.StringIO):
  def __init__(self, is_terminal):
    super().__init__()
    self.is_terminal = is_terminal

  def isatty(self):
    return self.is_terminal


@pytest.fixture
def clock(monkeypatch):
  """A list of the time of this machine."""
  now = [100.0]
  monkeypatch.setattr(time, 'monotonic', lambda: now[0])
  return now


def watched(*args):
  """Progress on a terminal that shows every call of `reach`."""
  sys.stderr = Screen(True)  # monkeypatched
  bar = progress.Progress(*args)
  bar._bar.mininterval, bar._bar.miniters = 0, 0
  bar._bar.dynamic_miniters = False
  return bar


def test_a_file_shows_how_far_and_how_fast(monkeypatch, clock):
  monkeypatch.setattr(sys, 'stderr', None)
  with watched('a\x1b.mp4', 600) as bar:
    for second in range(0, 660, 60):
      clock[0] += 2
      bar.reach(second)
  shown = sys.stderr.getvalue()
  assert r'a\x1b.mp4: ' in shown
  assert re.search(
    r'300 of 600 s \[.*\], 25\.0x realtime, \d\d:\d\d left', shown
  )
  assert bar.speed() == pytest.approx(600 / 22)
  assert re.fullmatch(
    r'\d+ MB of memory after 5 min and \d+ MB at the end', bar.memory()
  )


def test_a_camera_shows_what_was_dropped(monkeypatch, clock):
  monkeypatch.setattr(sys, 'stderr', None)
  with watched('camera 0') as bar:
    clock[0] += 10
    bar.reach(10, 3)
  assert 'camera 0: 10 s, 1.0x realtime, 3 dropped' in sys.stderr.getvalue()
  assert bar.memory() == ''


def test_a_pipe_shows_lines_only(monkeypatch):
  for name in ('stdout', 'stderr'):
    monkeypatch.setattr(sys, name, Screen(False))
  with progress.Progress('a.mp4', 10) as bar:
    bar.reach(5)
    progress.show('row')
    progress.log('odd\x1b')
  assert sys.stdout.getvalue() == 'row\n'
  assert sys.stderr.getvalue() == 'odd\\x1b\n'
