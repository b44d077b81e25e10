"""What comes through a pipe is read as it comes, and ends when told to."""

import re
import time

import av
import numpy as np
import pytest

from support import helpers, piped
from tsm_jax import errors
from tsm_jax.data.sources import arguments
from tsm_jax.stream.frames import files, pipes

pytestmark = pytest.mark.usefixtures('quiet_ffmpeg')


def write(path, **options):
  """A film of 48 frames, of which a third are B-frames."""
  options = {'preset': 'ultrafast', 'g': '12', 'bf': '1', **options}
  return helpers.write_video(path, 48, options=options)


def write_fragmented(path):
  source = write(path.with_suffix('.mkv'))
  options = {'movflags': 'frag_keyframe+empty_moov'}
  with (
    av.open(str(source)) as old,
    av.open(str(path), 'w', options=options) as new,
  ):
    stream = new.add_stream_from_template(old.streams.video[0])
    for packet in old.demux(video=0):
      if packet.size:
        packet.stream = stream
        new.mux(packet)
  return path


def write_plain(path):
  return helpers.write_video(path, 48, codec='rawvideo', options={})


@pytest.mark.parametrize(
  'name, write',
  [
    ('a.ts', write),
    ('a.mkv', write),
    ('a.mp4', write_fragmented),
    ('a.y4m', write_plain),
  ],
)
def test_a_pipe_gives_the_frames_of_the_file(
  tmp_path, monkeypatch, name, write
):
  path = write(tmp_path / name)
  expected = [(frame.time, frame.image) for frame in files.read(path)]
  with piped.standard_input(monkeypatch, path.read_bytes()):
    source = pipes.read()
    found = [(frame.time, frame.image) for frame in source]
  assert len(found) == 48 and source.damage == ''
  for (time_found, image), (time_expected, other) in zip(found, expected):
    assert time_found == time_expected
    np.testing.assert_array_equal(image, other)


@pytest.mark.parametrize(
  'name, write, share, damage',
  [
    ('a.ts', write, 0.618, 'its last packet is cut off'),
    ('a.mkv', write, 0.618, r'ends after 1.\d+ of 2\.00 s'),
    ('a.y4m', write_plain, 0.618, 'ends in the middle of a frame'),
  ],
)
def test_a_pipe_that_ends_in_the_middle_of_a_frame(
  tmp_path, monkeypatch, name, write, share, damage
):
  path = write(tmp_path / name)
  data = path.read_bytes()
  with piped.standard_input(monkeypatch, data[: int(share * len(data))]):
    piece = pipes.read()
    times = [frame.time for frame in piece]
  assert 12 < len(times) < 48
  assert re.search(damage, piece.damage)
  path.write_bytes(data[: int(share * len(data))])
  cut = files.read(path)
  assert [frame.time for frame in cut] == times
  assert cut.damage == piece.damage


@pytest.mark.parametrize(
  'content, message',
  [
    (b'', "'-': nothing came through the pipe."),
    (b'clip1.mp4\nclip2.mp4\n', "'-': standard input is a text.*xargs"),
    (bytes(range(256)), "'-': not a readable video: Invalid data"),
  ],
)
def test_what_is_no_video_is_named(monkeypatch, content, message):
  with (
    piped.standard_input(monkeypatch, content),
    pytest.raises(errors.InputError, match=message),
  ):
    pipes.read()


@pytest.mark.parametrize('first', [40, 5000])  # bytes that come at first
def test_dark_pictures_are_no_text(monkeypatch, first):
  picture = bytes([40]) * 64 * 64 + bytes([128]) * 2 * 32 * 32
  data = b'YUV4MPEG2 W64 H64 F8:1 Ip A1:1 C420jpeg\n'
  data += 3 * (b'FRAME\n' + picture)
  assert data[:1000].isascii()
  arguments.refuse_text(data[:first])
  with piped.standard_input(monkeypatch, data):
    assert len(list(pipes.read())) == 3


def test_a_film_with_its_index_at_the_end_is_refused(tmp_path, monkeypatch):
  path = helpers.write_video(tmp_path / 'a.mp4', 12, (128, 256))
  assert path.stat().st_size > 2**17  # more than FFmpeg keeps
  with (
    piped.standard_input(monkeypatch, path.read_bytes()),
    pytest.raises(errors.InputError, match=r'\+faststart'),
  ):
    list(pipes.read())


def test_a_silent_pipe_ends_when_told_to(tmp_path, monkeypatch):
  data = write(tmp_path / 'a.ts').read_bytes()
  with piped.standard_input(monkeypatch, data[:-1880], close=False):
    end = time.monotonic() + 0.3
    source = pipes.read(lambda: time.monotonic() > end)
    assert len(list(source)) > 24
