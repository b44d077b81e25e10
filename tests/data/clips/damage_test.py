"""Videos that are cut or broken, and reads that fail."""

import av
import numpy as np
import pytest

from support import scenes
from tsm_jax.data.clips import containers, player, videos

pytestmark = pytest.mark.usefixtures('quiet_ffmpeg')


@pytest.mark.parametrize('suffix', scenes.FORMATS)
def test_frames_after_the_damage_are_recovered(tmp_path, suffix):
  frames = scenes.scene(60)
  path = scenes.write(tmp_path / f'a.{suffix}', frames, suffix)
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
  path = scenes.write(tmp_path / f'a.{suffix}', frames, suffix)
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
  path = scenes.write(tmp_path / f'a.{suffix}', scenes.scene(20), suffix)
  path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
  with pytest.raises(videos.VideoError, match='not a readable video: Invalid'):
    videos.read(path)


@pytest.mark.parametrize('failing', ['demux', 'decode'])
def test_reading_goes_on_after_any_failure(failing):
  class Packet:
    is_discard, pts = False, None

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
  assert list(player.decode(Container(), None, failures, [])) == [0, 1, 3, 4]
  reason = 'bad disk' if failing == 'demux' else 'bad argument'
  assert failures == [(reason, None)]


def test_a_disk_that_fails_for_ever_ends():
  class Container:
    def demux(self, stream):
      raise av.error.OSError(5, 'bad disk')
      yield

  failures = []
  assert list(player.decode(Container(), None, failures, [])) == []
  assert len(failures) == player.MAX_FAILURES


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
  assert video.claimed[:3] == (27, pytest.approx(27 / 24, abs=0.01), 0)
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
