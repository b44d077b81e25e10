"""Frames that are only counted, and lengths that are those of the sound."""

import fractions

import av
import numpy as np
import pytest

from support import scenes
from tsm_jax.data.clips import containers, videos

pytestmark = pytest.mark.usefixtures('quiet_ffmpeg')


def write_gaps(path, times, codec='mpeg4'):
  """A video with frames at some of the times, 25 in a second."""
  with av.open(str(path), 'w') as container:
    stream = container.add_stream(codec, rate=25, options={'g': '6'})
    stream.width, stream.height, stream.pix_fmt = 128, 96, 'yuv420p'
    if codec == 'mjpeg':
      stream.pix_fmt = 'yuvj420p'
    for time, image in zip(times, scenes.scene(len(times))):
      frame = av.VideoFrame.from_ndarray(image, 'rgb24')
      frame.pts, frame.time_base = time, fractions.Fraction(1, 25)
      container.mux(stream.encode(frame))
    container.mux(stream.encode())
  return path


@pytest.mark.parametrize(
  'times',
  [
    [*range(6), *range(6, 90, 2)],  # 48 of 89
    [*range(40), 89],
    [0, *range(30, 60)],
  ],
)
@pytest.mark.parametrize('codec', ['mpeg4', 'mjpeg'])
def test_frames_that_an_avi_file_drops(tmp_path, times, codec):
  """Cameras write empty frames, at which the picture before stays."""
  path = tmp_path / 'a.avi'
  with av.open(str(write_gaps(path, times, codec))) as container:
    assert container.streams.video[0].frames == times[-1] + 1
  video = videos.read(path)
  assert (len(video.frames), video.damage, video.share) == (len(times), '', 1)
  np.testing.assert_allclose(video.times, np.array(times) / 25)
  assert len(videos.read(path, fps=25).frames) == times[-1] + 1


def test_a_cut_avi_file_with_dropped_frames_is_damaged(tmp_path):
  path = write_gaps(tmp_path / 'a.avi', [*range(6), *range(6, 90, 2)])
  path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
  video = videos.read(path)
  assert video.share < 0.7
  assert video.damage.endswith('of 89 frames decode: the rest is missing')


def write_sound(path, seconds, video='wmv2', audio='wmav2'):
  """Two seconds of video, and some of silence."""
  with av.open(str(path), 'w') as container:
    stream = container.add_stream(video, rate=25)
    stream.width, stream.height, stream.pix_fmt = 128, 96, 'yuv420p'
    sound = container.add_stream(audio, rate=44_100, layout='mono')
    sound.bit_rate = 64_000
    for image in scenes.scene(50):
      container.mux(stream.encode(av.VideoFrame.from_ndarray(image, 'rgb24')))
    container.mux(stream.encode())
    for start in range(0, 44_100 * seconds, 1024):
      silence = np.zeros((1, 1024), np.float32)
      frame = av.AudioFrame.from_ndarray(silence, 'fltp', 'mono')
      frame.sample_rate, frame.pts = 44_100, start
      container.mux(sound.encode(frame))
    container.mux(sound.encode())
  return path


@pytest.mark.parametrize('suffix', ['wmv', 'asf', 'mkv', 'flv', 'mov'])
@pytest.mark.parametrize('seconds', [1, 5])
def test_sound_of_another_length(tmp_path, suffix, seconds):
  codecs = () if suffix in ('wmv', 'asf') else ('h264', 'aac')
  path = write_sound(tmp_path / f'a.{suffix}', seconds, *codecs)
  video = videos.read(path)
  assert (len(video.frames), video.damage, video.share) == (50, '', 1)


def test_a_length_that_nothing_reaches_is_damage(tmp_path):
  path = write_sound(tmp_path / 'a.wmv', 2)
  claimed = containers.Claims(duration=4.0)
  assert videos._without_others(claimed, path, [0.96], 25) == claimed
  assert videos._without_others(claimed, path, [3.96], 25) == claimed
  claimed = containers.Claims(duration=2.0)  # of the sound
  assert videos._without_others(claimed, path, [0.96], 25).duration == 0


@pytest.mark.parametrize('cut', [False, True])
def test_matroska_that_starts_late_is_judged_from_its_first_frame(
  tmp_path, cut
):
  """Its length is stated from time 0: half of it hardly seems shorter."""
  path = write_gaps(tmp_path / 'late.mkv', range(2500, 2525), 'mjpeg')
  if cut:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
  video = videos.read(path)
  if cut:
    assert 0.1 < video.share < 0.8 and video.damage
  else:
    assert (len(video.frames), video.damage, video.share) == (25, '', 1.0)
