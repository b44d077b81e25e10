"""A file's frames one at a time are those of a dataset, and whole."""

import numpy as np
import pytest

from support import helpers
from tsm_jax import errors
from tsm_jax.data.clips import containers, videos
from tsm_jax.stream.frames import files

pytestmark = pytest.mark.usefixtures('quiet_ffmpeg')


@pytest.mark.parametrize('suffix', ['mp4', 'mkv', 'avi', 'ts'])
def test_frames_are_those_of_a_dataset(tmp_path, suffix):
  path = helpers.write_video(tmp_path / f'a.{suffix}', 12)
  whole = videos.read(path)
  with files.read(path) as source:
    frames = list(source)
    assert source.rate == 24 and source.damage == '' and not source.notes
  np.testing.assert_array_equal([f.image for f in frames], whole.frames)
  times = [f.time for f in frames]
  np.testing.assert_allclose(times, np.arange(12) / 24, atol=0.001)


def test_a_cut_file_gives_what_decodes_and_says_what_is_missing(tmp_path):
  path = helpers.write_video(tmp_path / 'a.mkv', 24)
  data = path.read_bytes()
  path.write_bytes(data[: len(data) // 2])
  whole = videos.read(path)
  source = files.read(path)
  assert len(list(source)) == len(whole.frames) < 24
  assert source.damage == whole.damage and 'of 1.00 s' in source.damage


def test_what_is_no_video_is_named(tmp_path):
  (tmp_path / 'a.mp4').write_bytes(b'no video')
  with pytest.raises(errors.InputError, match=r"a\.mp4': not a readable"):
    files.read(tmp_path / 'a.mp4')
  with pytest.raises(errors.InputError, match=r"b\.mp4': file does not exist"):
    files.read(tmp_path / 'b.mp4')


def test_a_span_is_that_of_the_times():
  times = [float('nan'), -3.0, -1.0, float('nan'), -2.0]
  for count in range(len(times) + 1):
    span = containers.Span()
    for time in times[:count]:
      span = span.add(time)
    expected = containers.Span.of(times[:count])
    np.testing.assert_equal(tuple(span), tuple(expected))
  assert span.last == -1 and containers.end_time(span, 2) == -0.5
