"""What travels with an export: `run.py`, and the parts that it runs by."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import cv2
import pytest

from support import colours, commands, exported
from tsm_jax import checkpoints
from tsm_jax.export.runner import run
from tsm_jax.stream.events import rules

pytestmark = pytest.mark.usefixtures('quiet_ffmpeg')

PARTS = ((0.5, 'idle'), (1.5, 'red'), (1, 'idle'), (1, 'blue'), (0.5, 'idle'))


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
  return colours.save_model(tmp_path_factory.mktemp('colours') / 'run')


@pytest.fixture(scope='module')
def trained(workdir):
  return checkpoints.restore_model(workdir)


@pytest.fixture(scope='module')
def film(tmp_path_factory):
  return colours.write_video(tmp_path_factory.mktemp('film') / 'a.mp4', PARTS)


@pytest.fixture(scope='module')
def steps(trained, tmp_path_factory):
  rule = rules.default(trained.labels, 'idle')
  out = tmp_path_factory.mktemp('steps') / 'out'
  return exported.write(out, trained, 'step', 1, rule)


@pytest.fixture(scope='module')
def clips(trained, tmp_path_factory):
  out = tmp_path_factory.mktemp('clips') / 'out'
  return exported.write(out, trained, 'clip', 2)


def lines(text):
  return [json.loads(line) for line in text.splitlines()]


def test_events_are_those_of_predict(workdir, steps, film, capsys):
  found = commands.call(
    'predict', workdir, film, '--stream', '--json', '--background=idle'
  )
  assert run.main([str(film), '--json'], steps) == 0
  out, err = capsys.readouterr()
  assert err == ''
  expected, events = lines(found.stdout), lines(out)
  assert [event['label'] for event in events] == ['red', 'blue']
  for event, other in zip(events, expected, strict=True):
    assert event.pop('score') == pytest.approx(other.pop('score'), abs=1e-4)
    assert event == pytest.approx(other)
  # The same for people, and only the start of it.
  assert run.main([str(film), '--seconds', '2.75'], steps) == 0
  (line,) = capsys.readouterr().out.splitlines()
  assert re.fullmatch(r' +0\.\d\d s +\d\.\d\d s +\d\d\.\d%  red', line)


def test_a_label_is_that_of_predict(workdir, clips, film, capsys):
  done = commands.call('predict', workdir, film, '--json', '--top=1')
  ((best,),) = [found['predictions'] for found in json.loads(done.stdout)]
  assert run.main([str(film), '--json'], clips) == 0
  (answer,) = lines(capsys.readouterr().out)
  assert answer.pop('probability') == pytest.approx(
    best['probability'], abs=1e-4
  )
  assert answer == {'video': str(film), 'label': best['label']}
  assert run.main([str(film)], clips) == 0
  assert re.fullmatch(
    rf'{film}: {best["label"]}, [\d.]+%\n', capsys.readouterr().out
  )


@pytest.fixture
def camera(film, monkeypatch):
  """Not one of this machine: OpenCV finds a file where the camera is."""
  capture = cv2.VideoCapture

  class Camera:
    """Gives its pictures as fast as a camera of eight in a second does."""

    signal = 0  # that it sends in the midst of what is red

    def __init__(self, *unused):
      self._capture, self._left = capture(str(film), cv2.CAP_FFMPEG), 14

    def __getattr__(self, name):
      return getattr(self._capture, name)

    def read(self):
      time.sleep(1 / 24)
      self._left -= 1
      if self._left == 0 and self.signal:
        os.kill(os.getpid(), self.signal)
      return self._capture.read()

  monkeypatch.setattr(cv2, 'VideoCapture', Camera)
  real = time.monotonic  # three times as fast
  monkeypatch.setattr(time, 'monotonic', lambda: 3 * real())
  return Camera


@pytest.mark.usefixtures('camera')
def test_a_camera_is_watched_and_labelled(steps, clips, capsys):
  assert run.main(['0', '--json', '--seconds=3.5'], steps) == 0
  events = lines(capsys.readouterr().out)
  assert [(e['video'], e['label']) for e in events[:1]] == [('camera 0', 'red')]
  assert run.main(['0', '--seconds=0.45'], clips) == 0
  assert capsys.readouterr().out.startswith('camera 0: idle, ')
  assert run.main(['0'], clips) == 2
  assert 'needs an end; give --seconds.' in capsys.readouterr().err


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_what_goes_on(
  steps, clips, camera, monkeypatch, capsys, number
):
  monkeypatch.setattr(camera, 'signal', number)
  for out in (steps, clips):
    handler = signal.getsignal(number)
    assert run.main(['0', '--json', '--seconds=60'], out) == 128 + number
    assert signal.getsignal(number) is handler
  found = lines(capsys.readouterr().out)
  assert [event['label'] for event in found] == ['red']  # no label of a clip


@pytest.mark.parametrize(
  ('damage', 'message'),
  [
    (lambda out: (out / 'card.json').unlink(), 'card.json cannot be read'),
    (
      lambda out: (out / 'model.stablehlo').unlink(),
      'stablehlo cannot be read',
    ),
    (
      lambda out: (out / 'model.stablehlo').write_bytes(b'x'),
      'stablehlo is not the file that card.json tells of: its SHA-256',
    ),
    (lambda out: (out / 'card.json').write_text('{'), 'card.json cannot be'),
    (lambda out: (out / 'card.json').write_text('[]'), 'card.json cannot be'),
  ],
)
def test_a_missing_or_changed_file_is_named(
  steps, film, tmp_path, capsys, damage, message
):
  for name in ('card.json', 'model.stablehlo'):
    (tmp_path / name).write_bytes((steps / name).read_bytes())
  damage(tmp_path)
  assert run.main([str(film)], tmp_path) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith('error: ') and message in line


def test_what_cannot_be_watched_is_named(steps, clips, tmp_path, capsys):
  bad = tmp_path / 'bad.mp4'
  bad.write_bytes(b'no video' * 100)
  for arguments, out, message in (
    ([str(bad)], steps, f'{str(bad)!r} is not a readable video.'),
    ([str(bad)], clips, f'{str(bad)!r} is not a readable video.'),
    (['none.mp4'], steps, "'none.mp4' is no file."),
    (['97'], steps, 'Camera 97 cannot be opened: it is not there, or in use'),
    (['97'], clips, 'Camera 97 cannot be opened: it is not there, or in use'),
    ([str(bad), '--every=0.2'], clips, '--every is for an export of steps;'),
  ):
    assert run.main(arguments, out) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f'error: {message}')


def test_a_video_that_ends_too_early_is_named(steps, clips, tmp_path, capsys):
  whole = colours.write_video(
    tmp_path / 'whole.mkv', [(4, 'idle'), (4, 'red'), (4, 'blue')]
  )
  film = tmp_path / 'cut.mkv'
  content = whole.read_bytes()
  film.write_bytes(content[: len(content) // 2])
  for folder in (steps, clips):
    assert run.main([str(film)], folder) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
      rf'{film}: its frames end at \d\.\d s, where it states 12\.0 s', line
    )
    # Nothing is missing of what was asked for.
    assert run.main([str(film), '--seconds=1'], folder) == 0
    assert run.main([str(whole)], folder) == 0
    assert capsys.readouterr().err == ''


def test_the_parts_need_nothing_of_ours(steps, film):
  """By another Python process, which finds no tsm_jax."""
  assert not list(steps.rglob('*tsm_jax*'))
  for path in steps.rglob('*.py'):
    assert not re.search(r'^\s*(from|import) tsm_jax', path.read_text(), re.M)
  code = (
    'import runpy, sys; sys.modules["tsm_jax"] = None; '
    f'sys.path.insert(0, {str(steps)!r}); '
    f'sys.argv = ["run.py", {str(film)!r}, "--json"]; '
    f'runpy.run_path({str(steps / "run.py")!r}, run_name="__main__")'
  )
  done = subprocess.run(
    [sys.executable, '-c', code],
    capture_output=True,
    text=True,
    env=commands.environment(),
  )
  assert done.returncode == 0, done.stderr
  assert [line['label'] for line in lines(done.stdout)] == ['red', 'blue']


def test_the_page_is_short(steps):
  assert len((steps / 'run.py').read_text().splitlines()) < 200
