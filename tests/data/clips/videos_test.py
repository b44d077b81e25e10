import fractions
import io
import os

import av
from av import bitstream
import numpy as np
from PIL import ExifTags, Image, ImageOps
import pytest

from support import helpers, scenes
from tsm_jax.data.clips import containers, pixels, videos

pytestmark = pytest.mark.usefixtures('quiet_ffmpeg')


@pytest.mark.parametrize('suffix', scenes.FORMATS)
def test_every_container_is_read_back(tmp_path, suffix):
  frames = scenes.scene(25)
  video = videos.read(scenes.write(tmp_path / f'a.{suffix}', frames, suffix))
  assert scenes.mean_error(video.frames, frames) < 4
  assert (
    scenes.mean_error(video.frames[1:], frames[:-1]) > 12
  )  # it tells them apart
  assert (video.fps, video.damage, video.share) == (24, '', 1)


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


def test_what_the_container_claims(tmp_path):
  video = videos.read(scenes.write(tmp_path / 'a.mkv', scenes.scene(12), 'mkv'))
  assert video.claimed == (0, 0.5, 0, True)  # it does not count frames
  np.testing.assert_allclose(video.times, np.arange(12) / 24, atol=0.001)
  assert containers.end_time(video.times, 24) == pytest.approx(0.5, abs=0.001)
  assert containers.end_time([float('nan')] * 3, 0) == 0


@pytest.mark.parametrize(
  'matrix, shown',
  [
    # x' = -y, y' = x: clockwise, as phones write it
    ((0, 1, -1, 0), lambda frame: np.rot90(frame, -1)),
    ((0, -1, 1, 0), np.rot90),
    ((-1, 0, 0, -1), lambda frame: np.rot90(frame, 2)),
    ((-1, 0, 0, 1), np.fliplr),
    ((1, 0, 0, -1), np.flipud),
    ((0, 1, 1, 0), lambda frame: frame.swapaxes(0, 1)),
    ((0, -1, -1, 0), lambda frame: np.rot90(frame, 2).swapaxes(0, 1)),
    ((-2, 0, 0, 1), np.fliplr),  # a stretched picture stays as it is stored
    ((0, 0, 0, 0), lambda frame: frame),
  ],
)
def test_the_display_matrix_is_applied(tmp_path, matrix, shown):
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
  expected = np.stack([shown(frame) for frame in straight])
  np.testing.assert_array_equal(np.stack(turned), expected)


@pytest.mark.parametrize(
  'orientation, shown',
  [
    ('rotate=90', np.rot90),
    ('flip=horizontal', np.fliplr),
    ('flip=vertical', np.flipud),
  ],
)
def test_what_the_first_frame_states_is_kept(tmp_path, orientation, shown):
  frames = scenes.scene(12, (48, 64))
  videos.write(tmp_path / 'a.mp4', frames)
  options = f'h264_metadata=display_orientation=insert:{orientation}'
  with (
    av.open(str(tmp_path / 'a.mp4')) as source,
    av.open(str(tmp_path / 'b.mp4'), 'w') as target,
  ):
    stream = target.add_stream_from_template(source.streams.video[0])
    metadata = bitstream.BitStreamFilterContext(options, stream, stream)
    for packet in source.demux(video=0):
      for changed in metadata.filter(packet if packet.size else None):
        changed.stream = stream
        target.mux(changed)
  with av.open(str(tmp_path / 'b.mp4')) as container:
    stated = ['DISPLAYMATRIX' in f.side_data for f in container.decode(video=0)]
  assert stated == [True] + [False] * 11
  straight = videos.read(tmp_path / 'a.mp4').frames
  turned = videos.read(tmp_path / 'b.mp4').frames
  expected = np.stack([shown(frame) for frame in straight])
  np.testing.assert_array_equal(np.stack(turned), expected)


@pytest.mark.parametrize('orientation', [1, 3, 6, 8])
def test_pictures_of_cameras_that_state_exif(tmp_path, orientation):
  """PyAV does not know this kind of data beside a frame."""
  picture = Image.fromarray(scenes.scene(1, (48, 64))[0])
  exif = Image.Exif()
  exif[ExifTags.Base.Orientation] = orientation
  exif[ExifTags.Base.Make] = 'Camera'
  data = io.BytesIO()
  picture.save(data, 'JPEG', exif=exif, quality=95)
  with av.open(str(tmp_path / 'a.avi'), 'w') as container:
    stream = container.add_stream('mjpeg', rate=5)
    stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuvj420p'
    for time in range(3):
      packet = av.Packet(data.getvalue())
      packet.stream, packet.is_keyframe = stream, True
      packet.pts = packet.dts = time
      packet.time_base = fractions.Fraction(1, 5)
      container.mux(packet)
  video = videos.read(tmp_path / 'a.avi')
  upright = np.asarray(ImageOps.exif_transpose(Image.open(data)))
  assert scenes.mean_error(video.frames, [upright] * 3) < 6
  assert video.damage == ''


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


def test_a_name_that_looks_like_an_address_is_a_file(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  helpers.write_video(tmp_path / 'clip.mp4', 3)
  for name in ('cam1:2021.mp4', 'file:clip.mp4', 'http:/clip.mp4'):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes((tmp_path / 'clip.mp4').read_bytes())
    assert len(videos.read(name).frames) == 3
