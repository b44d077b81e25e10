from fractions import Fraction
import hashlib
import shutil

import av
import numpy as np
import pytest

from support import helpers
from tsm_jax.data.clips import videos
from tsm_jax.data.doctor import examine, findings

pytestmark = pytest.mark.usefixtures('quiet_ffmpeg')


def kinds(clip, num_frames=8):
  facts = examine.facts(str(clip))
  return dict(findings.judge(facts, num_frames))


def write_timed(path, times, size=(32, 48)):
  """A video whose frames are shown at the given milliseconds."""
  with av.open(str(path), 'w') as container:
    stream = container.add_stream('libx264', rate=24, options={'bf': '0'})
    stream.height, stream.width = size
    stream.pix_fmt = 'yuv420p'
    stream.codec_context.time_base = Fraction(1, 1000)
    for time, image in zip(times, helpers.draw(len(times), size)):
      frame = av.VideoFrame.from_ndarray(image, 'rgb24')
      frame.pts, frame.time_base = time, Fraction(1, 1000)
      container.mux(stream.encode(frame))
    container.mux(stream.encode())
  return path


def remux(source, target):
  """The same packets in another container."""
  with av.open(str(source)) as old, av.open(str(target), 'w') as new:
    stream = new.add_stream_from_template(old.streams.video[0])
    for packet in old.demux(video=0):
      if packet.dts is not None:
        packet.stream = stream
        new.mux(packet)
  return target


def test_a_healthy_clip(tmp_path):
  path = helpers.write_video(tmp_path / 'a.mp4', 12, (32, 48))
  facts = examine.facts(str(path))
  digest = hashlib.sha256()
  for frame in videos.read(path).frames:
    digest.update(b'(32, 48, 3)' + frame.tobytes())
  assert facts.pop('content') == digest.hexdigest()[:32]
  assert facts.pop('motion') > 30
  assert len(facts.pop('scenes')) == 4
  assert facts == {
    'num_frames': 12,
    'width': 48,
    'height': 32,
    'fps': 24.0,
    'damage': '',
    'share': 1.0,
    'stated_frames': 12,
    'stated_duration': 0.5,
    'rotation': 0,
    'end': pytest.approx(0.5),
    'odd_intervals': 0.0,
    'rates': [pytest.approx(24), pytest.approx(24)],
  }
  assert kinds(path) == {}
  assert kinds(path, 16) == {'short': '12 frames, where a clip has 16'}


@pytest.mark.parametrize('suffix', ['mkv', 'mov', 'avi'])
def test_other_healthy_containers(tmp_path, suffix):
  assert kinds(helpers.write_video(tmp_path / f'a.{suffix}', 30)) == {}


def test_the_same_frames_in_another_container(tmp_path):
  path = helpers.write_video(tmp_path / 'a.mp4')
  contents = [
    examine.facts(str(clip))['content']
    for clip in (
      path,
      shutil.copy(path, tmp_path / 'copy.mp4'),
      remux(path, tmp_path / 'other.mkv'),
      helpers.write_video(tmp_path / 'shorter.mp4', 11),
      helpers.write_video(tmp_path / 'another.mp4', seed=1),
    )
  ]
  assert contents[0] == contents[1] == contents[2]
  assert len(set(contents)) == 3


def test_what_cannot_be_used(tmp_path):
  (tmp_path / 'empty.mp4').write_bytes(b'')
  (tmp_path / 'text.mp4').write_text('no video' * 99)
  path = tmp_path / 'none.mp4'
  options = {'movflags': 'frag_keyframe+empty_moov'}
  with av.open(str(path), 'w', options=options) as container:
    stream = container.add_stream('libx264', rate=24)
    stream.width = stream.height = 32
    stream.pix_fmt = 'yuv420p'
    container.start_encoding()
  (tmp_path / 'folder').mkdir()
  (tmp_path / 'folder' / '1.jpg').write_bytes(b'no image')
  assert kinds(tmp_path / 'empty.mp4') == {
    'unreadable': 'file is empty (0 bytes)'
  }
  assert kinds(tmp_path / 'text.mp4')['unreadable'].startswith('not a readable')
  assert kinds(path) == {'no_frames': 'no frame decodes'}
  assert kinds(tmp_path / 'folder')['no_frames'].startswith('no image can be')
  with pytest.raises(videos.VideoError, match='no frame decodes'):
    examine.sheet(str(path))


@pytest.mark.parametrize(
  'count, expected',
  [
    (1, {'too_short': '1 frame'}),
    (2, {'too_short': '2 frames'}),
    (3, {'short': '3 frames, where a clip has 8'}),
    (7, {'short': '7 frames, where a clip has 8'}),
    (8, {}),
  ],
)
def test_short_clips(tmp_path, count, expected):
  assert kinds(helpers.write_video(tmp_path / 'a.mp4', count)) == expected


@pytest.mark.parametrize('suffix', ['avi', 'mkv'])
def test_a_truncated_clip(tmp_path, suffix):
  path = helpers.write_video(tmp_path / f'a.{suffix}', 48, (64, 64))
  path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
  ((kind, detail),) = kinds(path).items()
  assert kind == 'truncated'
  assert detail.startswith('ends after ') and ' of 2.00 s' in detail


def test_damage_that_ffmpeg_conceals(tmp_path):
  path = tmp_path / 'a.mp4'
  frames = helpers.draw(40, (96, 128))
  noise = np.random.default_rng(0).integers(-40, 40, (40, 96, 128, 1))
  frames = [np.uint8(np.clip(f + n, 0, 255)) for f, n in zip(frames, noise)]
  videos.write(path, frames, options={'g': '8', 'crf': '20'})
  assert kinds(path) == {}
  data = bytearray(path.read_bytes())
  middle = len(data) // 2
  data[middle : middle + 3] = b'\x55\xaa\x55'
  path.write_bytes(data)
  video = videos.read(path)
  assert len(video.frames) == 40 and video.share == 1
  assert kinds(path) == {'damaged': video.damage}
  assert video.damage.endswith('of 40 frames are damaged')


def test_another_number_of_frames_than_stated(tmp_path):
  path = helpers.write_video(tmp_path / 'a.avi', 20)
  data = path.read_bytes()
  twenty = (20).to_bytes(4, 'little')
  place = data.index(b'strh') + 8 + 32  # dwLength of the stream's header
  assert data[place : place + 4] == twenty
  path.write_bytes(
    data[:place] + (17).to_bytes(4, 'little') + data[place + 4 :]
  )
  assert kinds(path) == {'frame_count': '20 frames decode, where 17 are stated'}


def test_variable_frame_rate(tmp_path):
  even = [40 * i for i in range(20)]
  slow = even[:10] + [360 + 120 * i for i in range(1, 11)]
  for suffix in ('mp4', 'mkv'):
    assert kinds(write_timed(tmp_path / f'even.{suffix}', even)) == {}
    found = kinds(write_timed(tmp_path / f'slow.{suffix}', slow))
    assert list(found) == ['variable_rate']
    assert found['variable_rate'] == (
      '8.33 to 25.00 frames per second; 47% of the intervals are odd'
    )
  # One frame that was dropped is no variable rate.
  dropped = [*even[:10], *(t + 40 for t in even[10:]), 840, 880]
  assert kinds(write_timed(tmp_path / 'dropped.mp4', dropped)) == {}
  # Matroska rounds to milliseconds.
  film = [round(1000 * i / 59.94) for i in range(40)]
  assert kinds(write_timed(tmp_path / 'film.mkv', film)) == {}


def turn(path, degrees):
  """Writes a rotation into the track header of an MP4 file."""
  data = bytearray(path.read_bytes())
  start = data.index(b'tkhd') + 44
  angle = np.deg2rad(degrees)
  cos, sin = round(np.cos(angle) * 65536), round(np.sin(angle) * 65536)
  a, b, c, d = (v.to_bytes(4, signed=True) for v in (cos, sin, -sin, cos))
  data[start : start + 32] = a + b + bytes(4) + c + d + bytes(12)
  path.write_bytes(data)
  return path


@pytest.mark.parametrize(
  'degrees, size, kind',
  [
    (90, (48, 32), 'rotated'),
    (180, (32, 48), 'rotated'),
    (45, None, 'rotation'),
  ],
)
def test_rotation(tmp_path, degrees, size, kind):
  path = turn(helpers.write_video(tmp_path / 'a.mp4', 9), degrees)
  facts = examine.facts(str(path))
  ((found, detail),) = findings.judge(facts, 8)
  assert found == kind
  assert detail.endswith(f'{degrees} degrees')
  if size:
    assert (facts['height'], facts['width']) == size


def test_static(tmp_path):
  frames = helpers.draw(1, (48, 64)) * 12
  rng = np.random.default_rng(0)
  noisy = [
    np.uint8(np.clip(f + rng.normal(0, 2, f.shape), 0, 255)) for f in frames
  ]
  videos.write(tmp_path / 'a.mp4', noisy, options={'crf': '28'})
  assert list(kinds(tmp_path / 'a.mp4')) == ['static']
  # A small thing that moves is motion.
  for i, frame in enumerate(noisy):
    frame[20:24, 4 * i : 4 * i + 4] = 255
  videos.write(tmp_path / 'b.mp4', noisy, options={'crf': '28'})
  assert kinds(tmp_path / 'b.mp4') == {}


def test_a_folder_of_images(tmp_path):
  clip = helpers.write_frames(tmp_path / 'clip', 9)
  assert kinds(clip) == {}
  facts = examine.facts(str(clip))
  assert (facts['num_frames'], facts['width'], facts['height']) == (9, 48, 32)
  (clip / '00004.jpg').unlink()
  assert kinds(clip) == {
    'damaged': '8 of 9 images are good: image 4 is missing'
  }
