"""Parts of a film: the frames that a whole reading has there, in one pass."""

import fractions

import av
import numpy as np
import pytest

from support import helpers, scenes
from tsm_jax.data import defaults
from tsm_jax.data.clips import codec, opening, videos
from tsm_jax.data.clips.films import parts
from tsm_jax.data.sources import segments

pytestmark = pytest.mark.usefixtures('quiet_ffmpeg')

SECONDS = (
  segments.Segment(0.5, 1.25),
  segments.Segment(1.25, 1.9),
  segments.Segment(0, 0.3),
  segments.Segment(1.0, 1.5),  # overlaps two others
  segments.Segment(1.7),
)


class Grays(list):
  """Keeps the mean of each frame: those of the films here are all unlike."""

  def add(self, image):
    self.append(int(image.mean()))


def read(path, found, **kwargs):
  """`[(kept, video)]` in the order of the segments."""
  results = {n: rest for n, *rest in parts.read(path, found, Grays, **kwargs)}
  assert len(results) == len(found)
  return [results[i] for i in range(len(found))]


def whole(path, fps=0):
  """Every frame of a file, and seconds at which it is shown."""
  video = videos.read(path, lambda image: int(image.mean()), fps)
  with opening.container(path) as container:
    start = container.start_time / av.time_base
  times = np.subtract(video.times, start)
  return video.frames, np.arange(len(video.frames)) / fps if fps else times


def write_late(path):
  """Sixty frames of 30 per second; a transport stream begins after 1.4 s."""
  with av.open(str(path), 'w') as container:
    stream = container.add_stream('mpeg2video', rate=30, options={'b': '4M'})
    stream.width, stream.height, stream.pix_fmt = 64, 64, 'yuv420p'
    for number in range(60):
      gray = np.full((64, 64, 3), 20 + 3 * number, np.uint8)
      frame = av.VideoFrame.from_ndarray(gray, 'rgb24')
      frame.pts, frame.time_base = 70 + number, fractions.Fraction(1, 30)
      container.mux(stream.encode(frame))
    container.mux(stream.encode())
  return path


@pytest.fixture(scope='module')
def films(tmp_path_factory):
  """By name: of a steady rate, of a variable one, and one that starts late."""
  folder = tmp_path_factory.mktemp('films')
  rng = np.random.default_rng(0)
  steps = np.cumsum(rng.choice([33, 34, 50, 66], 50))
  steady = np.round(np.arange(60) * 1000 / 30).astype(int)
  return {
    'steady.mkv': scenes.write_variable(folder / 'a.mkv', steady.tolist()),
    'variable.mp4': scenes.write_variable(
      folder / 'a.mp4', (steps - steps[0]).tolist()
    ),
    'late.ts': write_late(folder / 'a.ts'),
  }


@pytest.mark.parametrize('name', ['steady.mkv', 'variable.mp4', 'late.ts'])
@pytest.mark.parametrize('fps', [0, 12.5, 50])
def test_a_part_in_seconds_is_what_the_whole_film_has_there(films, name, fps):
  frames, times = whole(films[name], fps)
  for segment, (kept, video) in zip(
    SECONDS, read(films[name], SECONDS, fps=fps)
  ):
    end = segment.end or 1e9
    inside = (times >= segment.start - 1e-3) & (times < end - 1e-3)
    assert kept == np.array(frames)[inside].tolist()
    assert len(video.frames) == inside.sum() > 2
    assert (video.damage, video.share) == ('', 1)
    if fps:
      assert video.fps == fps
    else:
      np.testing.assert_allclose(video.times, times[inside], atol=1e-6)


@pytest.mark.parametrize('fps', [0, 60])
def test_a_part_in_frames_is_what_the_whole_film_has_there(films, fps):
  path = films['steady.mkv']
  found = [segments.Segment(*x, 'frames') for x in ((7, 20), (20, 21), (50,))]
  found[2] = segments.Segment(50, None, 'frames')
  frames, _ = whole(path)
  kept = [kept for kept, _ in read(path, found, fps=fps)]
  times = 2 if fps else 1
  expected = [frames[7:20], frames[20:21], frames[50:]]
  # Times of milliseconds shift what is repeated by one.
  for some, frames in zip(kept, expected):
    assert sorted(set(some)) == sorted(set(frames))
    assert abs(len(some) - times * len(frames)) <= (1 if fps else 0)


def test_a_part_states_its_own_rate_where_it_is_another(tmp_path):
  times = [*range(0, 1000, 100), *range(1000, 2000, 20)]
  path = scenes.write_variable(tmp_path / 'a.mkv', times)
  slow, fast = (
    video.fps
    for _, video in read(path, [segments.Segment(0, 1), segments.Segment(1, 2)])
  )
  np.testing.assert_allclose([slow, fast], [10, 50])


@pytest.mark.parametrize('storage', defaults.STORAGES)
def test_records_are_those_of_the_clips_cut_out(films, tmp_path, storage):
  options = defaults.Options(short_side=24, storage=storage)
  path = films['steady.mkv']
  found = [segments.Segment(0.5, 1.0), segments.Segment(0.6, 0.9)]
  for number, (record, _) in codec.to_records(path, found, options):
    images = videos.read(path).frames
    first, last = ((15, 30), (18, 27))[number]
    writer = codec.Writer(options)
    for image in images[first:last]:
      writer.add(image)
    assert record.pop('frames') == writer.end()
    assert record == {
      'num_frames': last - first,
      'height': 24,
      'width': 24,
      'fps': 30,
    }


def test_nothing_is_decoded_behind_the_last_part(films, monkeypatch):
  seen = []

  class Counting(Grays):
    def add(self, image):
      seen.append(image)

  original = parts.judging.Film.see
  decoded = []
  monkeypatch.setattr(
    parts.judging.Film,
    'see',
    lambda self, frame: decoded.append(1) or original(self, frame),
  )
  list(parts.read(films['steady.mkv'], [SECONDS[2]], Counting))
  assert len(seen) == 9 and len(decoded) == 10


def outcomes(path, found):
  """`(damage, share, frames)`, or the error, of each."""
  return [
    (video.damage, video.share, len(kept)) if kept else str(video)
    for kept, video in read(path, found)
  ]


def test_parts_behind_the_end(tmp_path):
  path = helpers.write_video(tmp_path / 'a.mp4', 30, fps=10)
  second, frame = segments.Segment, lambda *x: segments.Segment(*x, 'frames')
  assert outcomes(
    path, [second(2, 3.05), second(1, 3.2), second(2, 4), second(3, 4)]
  ) == [
    ('', 1, 10),
    ('ends at 3.20 s, but the video at 3.00 s', pytest.approx(2 / 2.2), 20),
    ('ends at 4.00 s, but the video at 3.00 s', 0.5, 10),
    'begins at 3.00 s, but the video ends at 3.00 s',
  ]
  assert outcomes(path, [frame(20, 30), frame(20, 40), frame(30, 40)]) == [
    ('', 1, 10),
    ('ends at frame 40, but the video at frame 30', 0.5, 10),
    'begins at frame 30, but the video ends at frame 30',
  ]
  assert outcomes(path, [second(1.01, 1.05)]) == ['no frame is in it']


def test_a_part_has_a_limit_of_its_own(tmp_path):
  path = helpers.write_video(tmp_path / 'a.mp4', 30, fps=10)
  found = [segments.Segment(0, 2.5), segments.Segment(2.5, 3)]
  (_, error), (kept, _) = read(path, found, max_frames=20)
  assert 'longer than max_frames, 20' in str(error) and len(kept) == 5


def test_parts_before_the_end_of_a_cut_film_are_whole(tmp_path):
  path = scenes.write(tmp_path / 'a.mkv', scenes.scene(60), 'mkv')
  path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
  end = len(videos.read(path).frames) / 24
  first, cut, behind, rest = outcomes(
    path,
    [
      segments.Segment(0.25, 1),
      segments.Segment(1, 2.25),
      segments.Segment(2, 2.25),
      segments.Segment(0.5),
    ],
  )
  why = f'ends after {end:.2f} of 2.50 s'
  assert first == ('', 1, 18)
  assert cut[0] == f'ends at 2.25 s, but the video at {end:.2f} s: {why}'
  assert cut[1] == pytest.approx((end - 1) / 1.25, abs=1e-3)
  assert behind == f'begins at 2.00 s, but the video ends at {end:.2f} s: {why}'
  assert rest[0] == why
  assert rest[1] == pytest.approx((end - 0.5) / 2, abs=1e-3)


def test_broken_packets_count_where_they_are(tmp_path):
  path = scenes.write(tmp_path / 'a.mp4', scenes.scene(60), 'mp4')
  data = bytearray(path.read_bytes())
  middle = len(data) // 2
  for i in range(middle, middle + len(data) // 12):
    data[i] ^= 0x55
  path.write_bytes(data)
  frame = [segments.Segment(*x, 'frames') for x in ((0, 20), (40, 60))]
  before, around, after, counted, uncounted = outcomes(
    path,
    [
      *(segments.Segment(*x) for x in ((0, 0.9), (0.9, 1.6), (1.7, 2.5))),
      *frame,
    ],
  )
  assert before == ('', 1, 22)
  assert 'frames decode: ' in around[0] and around[1] < 0.9
  assert after[1:] == (1, 19)
  assert counted == ('', 1, 20)
  assert uncounted.startswith('its frames cannot be counted: after ')


def test_a_film_that_cannot_be_read_is_no_part_of_it(tmp_path):
  path = tmp_path / 'a.mp4'
  path.write_bytes(b'no film')
  with pytest.raises(videos.VideoError, match='not a readable video'):
    list(codec.to_records(path, SECONDS))
  with pytest.raises(videos.PassingError, match='does not exist'):
    list(codec.to_records(tmp_path / 'gone.mp4', SECONDS))


@pytest.mark.parametrize('modality', ['rgb', 'flow'])
def test_parts_of_folders(tmp_path, modality):
  write = helpers.write_flow if modality == 'flow' else helpers.write_frames
  write(tmp_path / 'a', 12)
  found = [
    segments.Segment(3, 7, 'frames'),
    segments.Segment(8, None, 'frames'),
    segments.Segment(8, 13, 'frames'),
    segments.Segment(12, 13, 'frames'),
    segments.Segment(1.0, 2.0),
  ]
  results = dict(codec.to_records(tmp_path / 'a', found, modality=modality))
  record, _ = codec.to_record(tmp_path / 'a', modality=modality)
  each = 2 if modality == 'flow' else 1
  for number, (start, end) in enumerate(((3, 7), (8, 12), (8, 12))):
    part, video = results[number]
    assert part['frames'] == record['frames'][start * each : end * each]
    assert part['num_frames'] == 4
    damaged = (
      '4 of 5 images are good: ends at frame 13, but there are 12 images'
    )
    assert (video.damage, video.share) == (
      (damaged, 0.8) if number == 2 else ('', 1)
    )
  assert str(results[3]) == 'begins at frame 12, but there are 12 images'
  assert 'without times; give start_frame and end_frame' in str(results[4])
