import fractions
import types

import av
import numpy as np
import pytest

from support import helpers, scenes
from tsm_jax.data.clips import frame_rate, videos

MS = fractions.Fraction(1, 1000)


def counts(times, fps, duration=0, native=0):
  """How often frames at these milliseconds are seen."""
  frames = []
  for time in times:
    frame = av.VideoFrame(16, 16, 'gray')
    frame.pts, frame.time_base, frame.duration = time, MS, duration
    frames.append(frame)
  container = types.SimpleNamespace(format=types.SimpleNamespace(name='mp4'))
  stream = types.SimpleNamespace(time_base=MS, average_rate=native)
  shown = frame_rate.show(frames, container, stream, fps)
  return [count for *_, count in frame_rate.resample(shown, fps)]


def test_by_hand():
  assert counts([0, 100, 200, 300], 10, 100) == [1, 1, 1, 1]
  assert counts([0, 100, 200, 300], 20, 100) == [2, 2, 2, 2]
  # 0, 0.5 (up), 1, 1.5 (up), end 2: a frame gives way to one in its place.
  assert counts([0, 100, 200, 300], 5, 100) == [1, 0, 1, 0]
  assert counts([0, 40, 1000], 10, 100) == [0, 10, 1]
  # It begins where the first frame does.
  assert counts([5000, 5100], 10, 100) == [1, 1]
  assert counts([-100, 0, 100], 10, 100) == [1, 1, 1]
  # The end follows from the rate where a frame does not say how long it is.
  assert counts([0, 100], 20, native=10) == [2, 2]
  assert counts([0], 1, 40) == [1]  # at least one
  assert counts([], 10) == []
  # Timestamps that go back do not count twice.
  assert counts([0, 300, 100, 400], 10, 100) == [3, 0, 1, 1]
  assert counts([None, None, None], 20, native=10) == [2, 2, 2]


def test_the_rate_of_television():
  found = counts([0, 1001], 29.97, 1001)
  assert found == [30, 30]


def test_a_gap_that_is_too_long():
  assert counts([0, 60_000], 1, 1000) == [60, 1]
  with pytest.raises(frame_rate.GapError, match='no frame for 61 s'):
    counts([0, 61_000], 1, 1000)


def ffmpeg(path, fps, beginning=0):
  """The grays that FFmpeg's own filter makes of a video.

  Args:
    path: of the video.
    fps: of the result.
    beginning: taken from every time, in its units.
  """
  grays = []
  with av.open(str(path)) as container:
    stream = container.streams.video[0]
    graph = av.filter.Graph()
    graph.link_nodes(
      graph.add_buffer(template=stream),
      graph.add('fps', f'fps={fps}'),
      graph.add('buffersink'),
    ).configure()
    for frame in [*container.decode(stream), None]:
      if frame:
        frame.pts -= beginning
      graph.push(frame)
      while True:
        try:
          pulled = graph.pull()
        except (BlockingIOError, EOFError):
          break
        grays.append(int(pulled.to_ndarray(format='gray').mean()))
  return grays


@pytest.mark.parametrize('suffix', ['mp4', 'mkv'])
@pytest.mark.parametrize('fps', [5, 12.5, 25, 30, 60])
def test_a_variable_frame_rate_is_what_ffmpeg_makes_of_it(
  tmp_path, suffix, fps
):
  rng = np.random.default_rng(int(fps))
  times = np.cumsum(rng.choice([33, 34, 66, 100, 250, 400], 67))
  path = scenes.write_variable(
    tmp_path / f'a.{suffix}', (times - times[0]).tolist()
  )
  video = videos.read(path, lambda image: int(image.mean()), fps)
  expected = ffmpeg(path, fps)
  assert len(set(expected)) > 40 or fps == 5
  # Gray to RGB and back moves a value by one or two; grays are three apart.
  np.testing.assert_allclose(
    ranks(video.frames), ranks(expected), err_msg=str(fps)
  )
  assert (video.fps, video.share) == (fps, 1)
  assert len(videos.read(path).frames) == 67


def ranks(values):
  """Each run of equal values by its number, so that only lengths matter."""
  changes = np.diff(values) != 0
  return np.concatenate([[0], np.cumsum(changes)])


def test_a_video_that_stands_still_for_too_long(tmp_path):
  path = scenes.write_variable(tmp_path / 'a.mkv', [0, 40, 100_000])
  with pytest.raises(videos.VideoError, match='no frame for 100 s'):
    videos.read(path, fps=10)
  assert len(videos.read(path).frames) == 3


def test_a_raw_stream_has_no_timestamps(tmp_path):
  path = tmp_path / 'a.h264'
  videos.write(path, helpers.draw(10, (32, 48)))
  assert len(videos.read(path, fps=50).frames) in (20, 21)


@pytest.mark.parametrize('suffix', ['avi', 'asf', 'wmv', 'flv', 'mkv', 'mov'])
def test_no_frame_comes_late_where_others_refer_to_it(tmp_path, suffix):
  """AVI and ASF state when frames are decoded, not when they are shown."""
  path = tmp_path / f'a.{suffix}'
  write_ramp(path, 'libx264', {'qp': '0', 'bf': '3', 'b-adapt': '0'})
  grays = videos.read(path, lambda image: int(image.mean())).frames
  assert grays == sorted(grays) and len(set(grays)) == 50
  video = videos.read(path, lambda image: int(image.mean()), fps=25)
  assert video.frames == grays
  assert videos.read(path, lambda image: int(image.mean()), fps=50).frames == [
    gray for gray in grays for _ in range(2)
  ]
  assert (video.damage, video.share) == ('', 1)
  assert np.allclose(np.diff(video.times), 1 / 25, atol=0.002)


@pytest.mark.parametrize('suffix', ['ts', 'mpg', 'vob'])
@pytest.mark.parametrize('fps', [7, 10, 12.5, 30])
def test_streams_that_begin_after_a_while(tmp_path, suffix, fps):
  """FFmpeg's program counts from the start that the container states."""
  path = tmp_path / f'a.{suffix}'
  codec = 'libx264' if suffix == 'ts' else 'mpeg2video'
  write_ramp(path, codec, {'bf': '2', 'b': '4M'}, first=37)
  with av.open(str(path)) as container:
    beginning = container.start_time * 9 // 100  # units of a 90000th second
  assert beginning > 40_000
  expected = ranks(ffmpeg(path, fps, beginning))
  found = videos.read(path, lambda image: int(image.mean()), fps=fps).frames
  np.testing.assert_array_equal(ranks(found), expected)


def write_ramp(path, codec, options, first=0):
  """Fifty frames of 25 per second, each a few grays brighter."""
  with av.open(str(path), 'w') as container:
    stream = container.add_stream(codec, rate=25, options=options)
    stream.width, stream.height, stream.pix_fmt = 64, 64, 'yuv420p'
    for number in range(50):
      gray = np.full((64, 64, 3), 20 + 4 * number, np.uint8)
      frame = av.VideoFrame.from_ndarray(gray, 'rgb24')
      frame.pts, frame.time_base = first + number, fractions.Fraction(1, 25)
      container.mux(stream.encode(frame))
    container.mux(stream.encode())
