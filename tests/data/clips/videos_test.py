import io
import os

import av
import numpy as np
from PIL import Image
import pytest

from support import helpers, scenes
from tsm_jax.data.clips import containers, pixels, videos

# Frames every 6 of which is a key frame, as damage is then soon over.
FORMATS = {
  'mp4': ('libx264', {'g': '6', 'crf': '15'}),
  'mov': ('libx264', {'g': '6', 'crf': '15', 'bf': '2'}),
  'mkv': ('libx264', {'g': '6', 'crf': '15'}),
  'avi': ('mpeg4', {'g': '6', 'qmin': '3', 'qmax': '3'}),
  'webm': (
    'libvpx-vp9',
    {'g': '6', 'crf': '20', 'deadline': 'realtime', 'cpu-used': '8'},
  ),
}


@pytest.fixture(autouse=True)
def quiet_ffmpeg():
  av.logging.set_level(av.logging.PANIC)
  yield
  av.logging.set_level(None)


def write(path, frames, suffix):
  codec, options = FORMATS[suffix]
  videos.write(path, frames, codec=codec, options=options)
  return path


@pytest.mark.parametrize('suffix', FORMATS)
def test_every_container_is_read_back(tmp_path, suffix):
  frames = scenes.scene(25)
  video = videos.read(write(tmp_path / f'a.{suffix}', frames, suffix))
  assert scenes.mean_error(video.frames, frames) < 4
  assert (
    scenes.mean_error(video.frames[1:], frames[:-1]) > 12
  )  # it tells them apart
  assert (video.fps, video.damage, video.share) == (24, '', 1)


@pytest.mark.parametrize('suffix', FORMATS)
def test_frames_after_the_damage_are_recovered(tmp_path, suffix):
  frames = scenes.scene(60)
  path = write(tmp_path / f'a.{suffix}', frames, suffix)
  data = bytearray(path.read_bytes())
  middle = len(data) // 2
  for i in range(middle, middle + len(data) // 12):
    data[i] ^= 0x55
  path.write_bytes(data)
  video = videos.read(path)
  assert 45 <= len(video.frames) < 60
  assert scenes.mean_error(video.frames[:20], frames[:20]) < 4
  assert scenes.mean_error(video.frames[-10:], frames[-10:]) < 4
  if suffix in ('mp4', 'mov', 'avi'):
    assert video.share == len(video.frames) / 60
    assert video.damage.startswith(f'{len(video.frames)} of 60 frames decode')
  else:
    assert f'{len(video.frames)} frames decode where' in video.damage


@pytest.mark.parametrize('suffix', ['mkv', 'webm', 'avi'])
def test_a_cut_file_is_known_by_what_is_missing(tmp_path, suffix):
  frames = scenes.scene(60)
  path = write(tmp_path / f'a.{suffix}', frames, suffix)
  path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
  video = videos.read(path)
  count = len(video.frames)
  assert 15 < count < 50
  assert scenes.mean_error(video.frames, frames[:count]) < 4
  assert abs(video.share - count / 60) < 0.02
  if suffix == 'avi':
    assert video.damage == f'{count} of 60 frames decode: the rest is missing'
  else:
    assert video.damage == f'ends after {count / 24:.2f} of 2.50 s'


@pytest.mark.parametrize('suffix', ['mp4', 'mov'])
def test_a_cut_file_without_its_index(tmp_path, suffix):
  path = write(tmp_path / f'a.{suffix}', scenes.scene(20), suffix)
  path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
  with pytest.raises(videos.VideoError, match='not a readable video: Invalid'):
    videos.read(path)


def write_audio(path, cover=False):
  with av.open(str(path), 'w') as container:
    stream = container.add_stream('aac', rate=8000, layout='mono')
    if cover:
      picture = container.add_stream('mjpeg', rate=1)
      picture.width = picture.height = 32
      picture.pix_fmt = 'yuvj420p'
      picture.disposition = av.stream.Disposition.attached_pic
    sound = av.AudioFrame.from_ndarray(
      np.zeros((1, 1024), np.float32), 'fltp', 'mono'
    )
    sound.sample_rate = 8000
    container.mux(stream.encode(sound))
    container.mux(stream.encode())
    if cover:
      image = np.zeros((32, 32, 3), np.uint8)
      container.mux(picture.encode(av.VideoFrame.from_ndarray(image, 'rgb24')))
      container.mux(picture.encode())


def test_what_is_no_video(tmp_path):
  (tmp_path / 'empty.mp4').write_bytes(b'')
  (tmp_path / 'text.mp4').write_text('<html>not found</html>' * 99)
  (tmp_path / 'dir.mp4').mkdir()
  write_audio(tmp_path / 'audio.mp4')
  write_audio(tmp_path / 'cover.mp4', cover=True)
  for name, reason in {
    'empty': r'file is empty \(0 bytes\)',
    'text': 'not a readable video: Invalid data',
    'dir': 'not a readable video: Is a directory',
    'audio': 'has no video stream',
    'cover': 'has no video stream',
    'missing': 'file does not exist',
  }.items():
    with pytest.raises(videos.VideoError, match=f'^{reason}'):
      videos.read(tmp_path / f'{name}.mp4')


def test_no_permission(tmp_path, monkeypatch):
  path = helpers.write_video(tmp_path / 'a.mp4')

  def refuse(path, *args, **kwargs):
    raise PermissionError(13, 'Permission denied', str(path))

  with monkeypatch.context() as patch:
    patch.setattr(av, 'open', refuse)
    with pytest.raises(videos.VideoError, match=r'Permission denied$'):
      videos.read(path)
  with monkeypatch.context() as patch:
    patch.setattr(os, 'stat', refuse)
    with pytest.raises(videos.VideoError, match=r'read: Permission denied$'):
      videos.read(path)


@pytest.mark.parametrize('failing', ['demux', 'decode'])
def test_reading_goes_on_after_any_failure(failing):
  class Packet:
    is_discard = False

    def __init__(self, number):
      self.number = number

    def decode(self):
      if failing == 'decode' and self.number == 2:
        raise av.error.ArgumentError(22, 'bad argument')
      return [self.number]

  class Container:
    def __init__(self):
      self.packets = iter(range(5))

    def demux(self, stream):
      for number in self.packets:
        if failing == 'demux' and number == 2:
          raise av.error.OSError(5, 'bad disk')
        yield Packet(number)

  failures = []
  assert list(videos._decode(Container(), None, failures, [])) == [0, 1, 3, 4]
  assert failures == ['bad disk' if failing == 'demux' else 'bad argument']


def test_a_disk_that_fails_for_ever_ends():
  class Container:
    def demux(self, stream):
      raise av.error.OSError(5, 'bad disk')
      yield

  failures = []
  assert list(videos._decode(Container(), None, failures, [])) == []
  assert len(failures) == videos.MAX_FAILURES


def test_a_clip_cut_without_encoding_again_is_whole(tmp_path):
  # Cuts start at key frames: what is before is in the file, but not shown.
  frames = scenes.scene(40)
  videos.write(tmp_path / 'a.mp4', frames, options={'g': '20', 'crf': '15'})
  with (
    av.open(str(tmp_path / 'a.mp4')) as old,
    av.open(str(tmp_path / 'b.mp4'), 'w') as new,
  ):
    source = old.streams.video[0]
    stream = new.add_stream_from_template(source)
    shift = round(13 / 24 / source.time_base)
    for packet in old.demux(source):
      if packet.dts is not None:
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        packet.stream = stream
        new.mux(packet)
  with av.open(str(tmp_path / 'b.mp4')) as container:
    assert container.streams.video[0].frames == 40
  video = videos.read(tmp_path / 'b.mp4')
  assert scenes.mean_error(video.frames, frames[13:]) < 4
  assert (video.damage, video.share) == ('', 1)
  assert video.claimed == (27, pytest.approx(27 / 24, abs=0.01), 0)
  np.testing.assert_allclose(video.times, np.arange(27) / 24, atol=0.001)


def test_every_broken_packet_counts_where_frames_are_not_counted(tmp_path):
  frames = scenes.scene(12)
  whole = tmp_path / 'a.mkv'
  options = {'qp': '0', 'preset': 'ultrafast', 'g': '1'}  # all are key frames
  videos.write(whole, frames, options=options)
  with av.open(str(whole)) as container:
    packets = [bytes(p) for p in container.demux(video=0) if p.size]
  data = whole.read_bytes()
  for packet in packets[1:11:2]:
    assert data.count(packet) == 1
    data = data.replace(packet, bytes(len(packet)))
  (tmp_path / 'b.mkv').write_bytes(data)
  video = videos.read(tmp_path / 'b.mkv')
  assert len(video.frames) == 7 and video.share == pytest.approx(7 / 12)
  assert video.damage.startswith('7 of 12 frames decode: Invalid data')


def test_the_larger_damage_counts():
  claimed = containers.Claims(duration=4.0)  # 100 frames at 25 per second
  times = [i / 25 for i in range(50)]
  assert containers.damage(claimed, 25, times, ['bad']) == (
    'ends after 2.00 of 4.00 s',
    0.5,
  )
  times = [i / 25 for i in range(99)]
  assert containers.damage(claimed, 25, times, ['bad']) == (
    '99 of 100 frames decode: bad',
    0.99,
  )


def test_what_the_container_claims(tmp_path):
  video = videos.read(write(tmp_path / 'a.mkv', scenes.scene(12), 'mkv'))
  assert video.claimed == (0, 0.5, 0)  # it does not count frames
  np.testing.assert_allclose(video.times, np.arange(12) / 24, atol=0.001)
  assert containers.end_of(video.times, 24) == pytest.approx(0.5, abs=0.001)
  assert containers.end_of([float('nan')] * 3, 0) == 0


@pytest.mark.parametrize(
  'matrix, turns',
  [
    ((0, 1, -1, 0), -1),  # x' = -y, y' = x: clockwise, as phones write it
    ((0, -1, 1, 0), 1),
    ((-1, 0, 0, -1), 2),
  ],
)
def test_rotation_is_applied(tmp_path, matrix, turns):
  frames = scenes.scene(3, (48, 64))
  videos.write(tmp_path / 'a.mp4', frames)
  straight = videos.read(tmp_path / 'a.mp4').frames
  data = bytearray((tmp_path / 'a.mp4').read_bytes())
  start = data.index(b'tkhd') + 44  # of the matrix, 16.16 fixed point
  a, b, c, d = (int(v * 65536).to_bytes(4, signed=True) for v in matrix)
  zero = bytes(4)
  data[start : start + 32] = a + b + zero + c + d + zero + zero + zero
  (tmp_path / 'b.mp4').write_bytes(data)
  turned = videos.read(tmp_path / 'b.mp4').frames
  expected = np.stack([np.rot90(frame, turns) for frame in straight])
  np.testing.assert_array_equal(np.stack(turned), expected)


def test_the_first_of_several_streams_is_read(tmp_path):
  with av.open(str(tmp_path / 'a.mp4'), 'w') as container:
    streams = []
    for side in (32, 64):
      stream = container.add_stream('libx264', rate=24)
      stream.width = stream.height = side
      stream.pix_fmt = 'yuv420p'
      streams.append(stream)
    for stream, count in zip(streams, (5, 9)):
      for image in scenes.scene(count, (stream.height, stream.width)):
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, 'rgb24')))
      container.mux(stream.encode())
  frames = videos.read(tmp_path / 'a.mp4').frames
  assert [frame.shape for frame in frames] == [(32, 32, 3)] * 5


def test_odd_sizes(tmp_path):
  frames = scenes.scene(5, (65, 97))
  videos.write(tmp_path / 'a.mkv', frames, codec='ffv1', options={})
  video = videos.read(tmp_path / 'a.mkv')
  assert video.frames[0].shape == (65, 97, 3)
  assert scenes.mean_error(video.frames, frames) < 4


def test_frames_of_another_size_are_scaled_to_the_first(tmp_path):
  data = b''
  for size in ((64, 96), (32, 48)):
    videos.write(tmp_path / 'part.h264', scenes.scene(6, size))
    data += (tmp_path / 'part.h264').read_bytes()
  (tmp_path / 'a.h264').write_bytes(data)
  frames = videos.read(tmp_path / 'a.h264').frames
  assert [frame.shape for frame in frames] == [(64, 96, 3)] * 12
  assert scenes.mean_error(frames[:6], scenes.scene(6, (64, 96))) < 4
  enlarged = [
    pixels.resize(frame, 96, 64) for frame in scenes.scene(6, (32, 48))
  ]
  assert scenes.mean_error(frames[6:], enlarged) < 8


def test_backwards_is_exactly_the_reverse(tmp_path):
  frames = scenes.scene(24, (56, 56))
  videos.write(tmp_path / 'a.mp4', frames)
  videos.write(tmp_path / 'b.mp4', frames[::-1])
  forwards = np.stack(videos.read(tmp_path / 'a.mp4').frames)
  backwards = np.stack(videos.read(tmp_path / 'b.mp4').frames)
  np.testing.assert_array_equal(backwards, forwards[::-1])
  assert not np.array_equal(forwards, forwards[::-1])
  assert scenes.mean_error(forwards, frames) < 4


def test_jpeg_decodes_as_pillow_does():
  image = scenes.scene(1, (49, 70))[0]
  data = pixels.encode_jpeg(image, 90)
  decoded = pixels.decode_jpeg(data)
  expected = np.asarray(Image.open(io.BytesIO(data)))
  np.testing.assert_array_equal(decoded, expected)
  assert abs(decoded.astype(int) - image).mean() < 3
  assert Image.open(io.BytesIO(data)).layer[0][1:3] == (2, 2)  # 4:2:0
  assert len(pixels.encode_jpeg(image, 30)) < len(data)
  with pytest.raises(ValueError, match='4 bytes that are no JPEG'):
    pixels.decode_jpeg(b'JPEG')
