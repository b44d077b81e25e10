"""`predict --stream` on real videos, by a network that tells colours."""

import contextlib
import json
import os
import re
import signal
import sys
import threading
import time

import av
import jax
import numpy as np
from PIL import Image
import pytest

from support import colours, commands, piped, rtsp_server
from tsm_jax import checkpoints, stream
from tsm_jax.data.clips import player, videos
from tsm_jax.predict import __main__ as predict
from tsm_jax.stream.events import decider, rules
from tsm_jax.stream.frames import cameras, files

pytestmark = pytest.mark.usefixtures('quiet_ffmpeg')

PARTS = ((0.5, 'idle'), (1.5, 'red'), (1, 'idle'), (1, 'blue'), (0.5, 'idle'))
COUNT = 108  # frames in all


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
  return colours.save_model(tmp_path_factory.mktemp('colours') / 'run')


@pytest.fixture(scope='module')
def film(tmp_path_factory):
  """4.5 seconds of 24 frames per second, in MPEG-TS."""
  path = tmp_path_factory.mktemp('film') / 'film.ts'
  return colours.write_video(path, PARTS, 24)


def run(workdir, *args):
  return commands.call(
    'predict', workdir, *args, '--stream', '--background=idle'
  )


def found(done):
  return [json.loads(line) for line in done.stdout.splitlines()]


def by_hand(workdir, path, every):
  """The events of a file, of which every so many-th frame is shown."""
  trained = checkpoints.restore_model(workdir)
  model = trained.module()
  cache = stream.init_cache(model, 1, colours.SIZE)
  step = jax.jit(stream.step, static_argnums=0)
  decide = decider.create(rules.default(colours.LABELS, 'idle'), colours.LABELS)
  video, events = videos.read(path), []
  for number in range(0, len(video.frames), every):
    frame = trained.preprocessing.normalize(video.frames[number][None])
    logits, cache = step(model, trained.variables, cache, frame)
    events += decide.add(number / video.fps, np.asarray(logits[0]))
  return [*events, *decide.end()]


@pytest.fixture(scope='module')
def answered(workdir, film):
  """What the command says of the film."""
  return run(workdir, film, '--json')


@pytest.mark.parametrize('flags, every', [([], 6), (['--fps=2'], 12)])
def test_events_are_those_of_steps_by_hand(
  workdir, film, answered, flags, every
):
  done = run(workdir, film, '--json', *flags) if flags else answered
  assert done.returncode == 0, done.stderr
  events, lines = by_hand(workdir, film, every), found(done)
  assert [event.label for event in events] == ['red', 'blue']
  for line, event in zip(lines, events, strict=True):
    assert line.pop('video') == str(film)
    assert line.pop('label') == event.label
    # The last layer, which is solved for, makes much of little.
    assert line.pop('score') == pytest.approx(event.score, abs=0.01)
    for name, value in line.items():
      assert value == pytest.approx(getattr(event, name), abs=1e-6)
  head, summary = done.stderr.splitlines()
  assert head == (
    f'A frame is shown every {every / 24:g} s; events by the usual rule, '
    'which is not tuned.'
  )
  steps = f'{COUNT // every} steps, 2 events'
  assert re.fullmatch(rf'.*film\.ts: 4\.5 s at .*x realtime, {steps}', summary)


def test_a_pipe_decides_as_the_file(workdir, film, answered, monkeypatch):
  converted, real = [], player.Player.image

  def image(self, frame):
    converted.append(frame)
    return real(self, frame)

  monkeypatch.setattr(player.Player, 'image', image)
  with piped.standard_input(monkeypatch, film.read_bytes()):
    done = run(workdir, '-', '--json')
  assert done.returncode == 0, done.stderr
  assert found(done) == [{**line, 'video': '-'} for line in found(answered)]
  assert len(found(done)) == 2
  # The frames between are decoded only.
  assert len(converted) == COUNT // 6


def test_all_outputs_of_a_folder_of_videos(workdir, film, tmp_path):
  out, films = tmp_path / 'out', tmp_path / 'films'
  out.mkdir()
  films.mkdir()
  for name in ('a', 'b'):
    (films / f'{name}.ts').symlink_to(film)
  done = run(
    workdir,
    films,
    f'--events={out}/e.csv',
    f'--events={out}/e.vtt',
    f'--scores={out}/s.csv',
    f'--timeline={out}/t.png',
    f'--overlay={out}/o.mp4',
  )
  assert done.returncode == 0, done.stderr
  names = {'e-a.csv', 'e-a.vtt', 's-a.csv', 't-a.png', 'o-a.mp4'}
  names |= {name.replace('-a', '-b') for name in names}
  assert {path.name for path in out.iterdir()} == names
  rows = (out / 'e-a.csv').read_text().splitlines()
  assert [row.split(',')[3] for row in rows] == ['label', 'red', 'blue']
  # Each is a new stream: the one before leaves nothing.
  others = (out / 'e-b.csv').read_text().replace('b.ts', 'a.ts').splitlines()
  assert others == rows
  assert (out / 's-a.csv').read_text() == (out / 's-b.csv').read_text()
  assert len((out / 's-a.csv').read_text().splitlines()) == 6
  with av.open(str(out / 'o-a.mp4')) as container:
    assert sum(1 for _ in container.decode(video=0)) == COUNT
  with Image.open(out / 't-a.png') as picture:
    assert picture.width == 1100
  lines = done.stdout.splitlines()
  assert lines[0].endswith('a.ts') and lines[4].endswith('b.ts')
  assert lines[1].split()[0] == 'start'
  assert [line.split()[-1] for line in lines[2:4]] == ['red', 'blue']


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_with_what_was_found(
  workdir, film, tmp_path, monkeypatch, number
):
  data, subtitles = film.read_bytes(), tmp_path / 'a.srt'

  def end():
    """As soon as an event is written, or after 30 s."""
    for _ in range(3000):
      if subtitles.exists() and subtitles.stat().st_size:
        break
      time.sleep(0.01)
    os.kill(os.getpid(), number)

  handler = signal.getsignal(number)
  # The red part has come and a piece of what follows; the pipe is silent.
  start = data[: len(data) * 4 // 5]
  with piped.standard_input(monkeypatch, start, close=False):
    threading.Thread(target=end).start()
    done = run(workdir, '-', '--json', f'--events={subtitles}')
  assert done.returncode == 128 + number
  assert [line['label'] for line in found(done)] == ['red']
  assert subtitles.read_text().splitlines()[2] == 'red'
  assert 'Traceback' not in done.stderr and 'damaged' not in done.stderr
  assert signal.getsignal(number) == handler


def test_what_is_damaged_or_missing_is_named_and_in_the_status(
  workdir, film, tmp_path
):
  data = film.read_bytes()
  cut = tmp_path / 'cut.ts'
  cut.write_bytes(data[: len(data) * 3 // 5 // 188 * 188 + 50])
  done = run(workdir, cut, tmp_path / 'none.mp4', '--json')
  assert done.returncode == 1
  assert [line['label'] for line in found(done)] == ['red']
  _, summary, missing = done.stderr.splitlines()
  assert 'damaged, ' in summary
  assert missing == f"error: '{tmp_path}/none.mp4': file does not exist."
  assert run(workdir, tmp_path / 'none.mp4').returncode == 2


def test_a_change_of_the_size_is_named_and_the_stream_goes_on(
  workdir, tmp_path
):
  both = tmp_path / 'both.ts'
  for size in ((64, 64), (48, 96)):
    frames = [np.full((*size, 3), 90, np.uint8)] * 12
    videos.write(tmp_path / 'one.ts', frames)
    with open(both, 'ab') as file:
      file.write((tmp_path / 'one.ts').read_bytes())
  frames = list(files.read(both))
  shapes = [(64, 64, 3)] * 12 + [(48, 96, 3)] * 12
  assert [frame.image.shape for frame in frames] == shapes
  # The times of the second begin anew; they go on from the first.
  np.testing.assert_allclose([f.time for f in frames], np.arange(24) / 24)
  done = run(workdir, both, f'--overlay={tmp_path}/o.mp4')
  assert done.returncode == 0, done.stderr
  assert 'changes from 64x64 to 96x48 at 0.5 s.' in done.stderr
  with av.open(str(tmp_path / 'o.mp4')) as container:
    sizes = [(f.width, f.height) for f in container.decode(video=0)]
  assert sizes == [(64, 64)] * 24


def test_a_camera_of_the_network(workdir, film, monkeypatch):
  monkeypatch.setattr(cameras, 'FIRST_PAUSE', 0.05)
  with rtsp_server.serving(
    film.read_bytes(), user='me:secret', pause=0.01
  ) as server:
    # It ends, comes back, and ends by the clock of the film.
    done = run(workdir, server.address, '--json', '--seconds=5.5', '--fps=4')
    assert done.returncode == 0, done.stderr
    name = server.address.replace('me:secret@', '')
  assert 'secret' not in done.stderr + done.stdout
  assert f'{name} has ended; it is taken up when it is back.' in done.stderr
  assert {line['video'] for line in found(done)} == {name}
  # It sends faster than a camera: steps may be dropped, and are counted then.
  assert {line['label'] for line in found(done)} <= {'red', 'blue'}
  steps = re.search(r'(\d+) steps, ', done.stderr)
  dropped = re.search(r'(\d+) steps were dropped', done.stderr)
  assert int(steps[1]) + int(dropped[1] if dropped else 0) >= COUNT // 6


def test_who_reads_no_more_ends_it(workdir, film, monkeypatch):
  reads, writes = os.pipe()
  os.close(reads)
  out = os.fdopen(writes, 'w')
  monkeypatch.setattr(sys, 'stdout', out)
  assert predict.main([str(workdir), str(film), str(film), '--stream']) == 141
  with contextlib.suppress(BrokenPipeError):
    out.close()
