"""Times in a video in which no frame comes for long."""

import fractions
import json

import av

from support import colours, commands


def write(path, parts):
  """A video of `(start, end, label)`, 8 frames per second, else none."""
  with av.open(str(path), 'w') as container:
    stream = container.add_stream('libx264', rate=8)
    stream.width = stream.height = colours.SIZE
    stream.codec_context.time_base = fractions.Fraction(1, 8)
    for start, end, label in parts:
      for number in range(start * 8, end * 8):
        picture = colours.frame(label)
        frame = av.VideoFrame.from_ndarray(picture, format='rgb24')
        frame.pts = number
        container.mux(stream.encode(frame))
    container.mux(stream.encode())
  return path


def test_after_a_gap_an_event_begins_when_its_first_frame_comes(tmp_path):
  workdir = colours.save_model(tmp_path / 'run')
  film = write(tmp_path / 'a.mkv', [(0, 2, 'idle'), (100, 103, 'red')])
  done = commands.call(
    *('predict', workdir, film, '--stream', '--background=idle', '--json')
  )
  (event,) = map(json.loads, done.stdout.splitlines())
  # Few steps make up for the gap: 8 of 0.25 s that show its first frame.
  assert 97.5 < event['start'] <= 100 and event['end'] > 102.5
  # Of the 393 steps up to the frame after the gap, 8 show it.
  assert '385 steps had no frame, as none came for long' in done.stderr


def test_a_video_without_gaps_has_a_frame_for_every_step(tmp_path):
  workdir = colours.save_model(tmp_path / 'run')
  film = write(tmp_path / 'a.mkv', [(0, 3, 'red')])
  done = commands.call('predict', workdir, film, '--stream')
  assert done.returncode == 0 and 'events' in done.stderr
  assert 'had no frame' not in done.stderr
