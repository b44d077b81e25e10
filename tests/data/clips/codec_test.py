import av
import numpy as np
from PIL import Image
import pytest

from support import helpers, scenes
from tsm_jax import errors
from tsm_jax.data import defaults
from tsm_jax.data.clips import codec, h264, pixels, videos
from tsm_jax.data.store import dataset


def whole(record):
  """All frames of a stored video, as FFmpeg reads them from one file."""
  with av.open(helpers.file_of(record['frames'])) as container:
    frames = [f.to_ndarray(format='rgb24') for f in container.decode(video=0)]
  assert len(frames) == record['num_frames']
  return [f[: record['height'], : record['width']] for f in frames]


SIZES = {
  'landscape': ((96, 128), 96, (96, 128)),
  'portrait': ((128, 72), 64, (113, 64)),
  'odd': ((65, 97), 256, (65, 97)),
  'shrunk to odd': ((72, 128), 35, (35, 62)),
}


@pytest.mark.parametrize('kind', SIZES)
def test_chosen_frames_are_those_of_the_whole_video(tmp_path, kind):
  size, short_side, expected = SIZES[kind]
  path = tmp_path / 'a.mkv'
  scene = scenes.scene(43, size)
  videos.write(path, scene, codec='ffv1', options={})
  record, _ = codec.to_record(
    path, defaults.Options(short_side=short_side, storage='video')
  )
  assert (record['height'], record['width']) == expected
  frames = whole(record)
  rng = np.random.default_rng(0)
  chosen = [[0], [7], [8], [42], [6, 7, 8, 9], list(range(43))]
  for _ in range(40):
    count = rng.integers(1, 9)
    chosen.append(sorted(rng.choice(43, count, replace=False).tolist()))
  for indices in chosen:
    found = codec.decode(record, indices)
    np.testing.assert_array_equal(found, [frames[i] for i in indices])
  jpegs, _ = codec.to_record(
    path, defaults.Options(short_side=short_side, quality=100)
  )
  source = codec.decode(jpegs, range(43))
  assert scenes.mean_error(frames, source) < 5
  assert scenes.mean_error(frames[1:], source[:-1]) > 6


@pytest.mark.parametrize('encoder', ['libx264', 'libx265', 'libsvtav1'])
def test_ten_bits_and_other_codecs(tmp_path, encoder):
  path = tmp_path / 'a.mp4'
  frames = helpers.draw(20, (64, 96))
  options = {'crf': '5', 'preset': '10' if 'av1' in encoder else 'ultrafast'}
  with av.open(str(path), 'w') as container:
    stream = container.add_stream(encoder, rate=24, options=options)
    stream.width, stream.height, stream.pix_fmt = 96, 64, 'yuv420p10le'
    for frame in frames:
      frame = av.VideoFrame.from_ndarray(frame, format='rgb24')
      container.mux(stream.encode(frame))
    container.mux(stream.encode())
  record, video = codec.to_record(path, defaults.Options(storage='video'))
  assert (record['num_frames'], video.damage) == (20, '')
  found = codec.decode(record, [0, 3, 9, 19])
  all_frames = whole(record)
  np.testing.assert_array_equal(found, [all_frames[i] for i in (0, 3, 9, 19)])
  assert scenes.mean_error(all_frames, frames) < 6


def test_a_stored_video_has_regular_key_frames_and_no_sound(tmp_path):
  path = tmp_path / 'a.mp4'
  # Every fifth frame is the cut to another scene.
  scenes = [f for seed in range(8) for f in helpers.draw(5, (32, 48), 9 * seed)]
  with av.open(str(path), 'w') as container:
    video = container.add_stream('libx264', rate=24, options={'g': '250'})
    video.width, video.height, video.pix_fmt = 48, 32, 'yuv420p'
    audio = container.add_stream('aac', rate=8000, layout='mono')
    sound = av.AudioFrame.from_ndarray(
      np.zeros((1, 8192), np.float32), 'fltp', 'mono'
    )
    sound.sample_rate = 8000
    container.mux(audio.encode(sound))
    for frame in scenes:
      container.mux(video.encode(av.VideoFrame.from_ndarray(frame, 'rgb24')))
    container.mux([*video.encode(), *audio.encode()])
  record, _ = codec.to_record(path, defaults.Options(storage='video'))
  with av.open(helpers.file_of(record['frames'])) as container:
    assert [s.type for s in container.streams] == ['video']
    packets = [p for p in container.demux(video=0) if p.size]
  keys = [i for i, p in enumerate(packets) if p.is_keyframe]
  assert keys == list(range(0, 40, h264.KEY_EVERY))


def test_a_clip_is_stored_alike_whatever_was_in_memory_before():
  """x264 once used memory that it had not written: 1 of 100 clips differed."""
  rng = np.random.default_rng(0)
  clip = rng.integers(0, 256, (12, 4, 6, 3), np.uint8).repeat(8, 1).repeat(8, 2)
  noise, stored = rng.bytes(2**20), set()
  for _ in range(300):
    left_over = [noise[: int(size)] for size in 2 ** rng.uniform(8, 20, 40)]
    del left_over[::2]
    encoder = h264.Encoder()
    for image in clip:
      encoder.add(image)
    stored.add(b''.join(encoder.end()))
  assert len(stored) == 1


def test_only_what_is_needed_is_decoded(tmp_path):
  path = helpers.write_video(tmp_path / 'a.mp4', 30)
  record, _ = codec.to_record(path, defaults.Options(storage='video'))
  expected = whole(record)
  # Frames 8 to 11 and 16 are needed; without the others it works as well.
  needed = {8, 9, 10, 11, 16}
  for i in range(1, 30):
    if i not in needed:
      record['frames'][i] = b''
  found = codec.decode(record, [9, 11, 16])
  np.testing.assert_array_equal(found, [expected[i] for i in (9, 11, 16)])


@pytest.mark.parametrize('damage', [b'', b'\0\0\0\1no packet', None])
def test_a_damaged_packet_is_an_error(tmp_path, damage):
  path = helpers.write_video(tmp_path / 'a.mp4', 10)
  record, _ = codec.to_record(path, defaults.Options(storage='video'))
  if damage is None:  # a key frame of which a half is missing
    damage = record['frames'][8][: len(record['frames'][8]) // 2]
  record['frames'][8] = damage
  with pytest.raises(ValueError, match=r'bytes that are not an H\.264 frame'):
    codec.decode(record, [9])


@pytest.mark.parametrize(
  'size, short_side, expected',
  [
    ((64, 96), 32, (32, 48)),
    ((96, 64), 32, (48, 32)),
    ((64, 90), 48, (48, 67)),  # 67.5 is floored
    ((64, 96), 64, (64, 96)),
    ((64, 96), 256, (64, 96)),  # never enlarged
  ],
)
def test_record_of_frames(tmp_path, size, short_side, expected):
  path = tmp_path / 'a.mp4'
  videos.write(path, scenes.scene(7, size), fps=10)
  record, video = codec.to_record(path, defaults.Options(short_side=short_side))
  decoded = videos.read(path).frames
  images = [
    np.asarray(Image.fromarray(f).resize(expected[::-1], Image.BILINEAR))
    for f in decoded
  ]
  assert record == {
    'frames': [pixels.encode_jpeg(image, 90) for image in images],
    'num_frames': 7,
    'height': expected[0],
    'width': expected[1],
    'fps': 10,
  }
  assert (video.frames, video.share) == (record['frames'], 1)


@pytest.mark.parametrize('kind', defaults.STORAGES)
def test_resampled(tmp_path, kind):
  path = helpers.write_video(tmp_path / 'a.mp4', 12, fps=24)
  native, _ = codec.to_record(path, defaults.Options(storage=kind))
  half, _ = codec.to_record(path, defaults.Options(storage=kind, fps=12))
  twice, video = codec.to_record(path, defaults.Options(storage=kind, fps=48))
  assert (native['fps'], half['fps'], twice['fps']) == (24, 12, 48)
  assert (half['num_frames'], twice['num_frames']) == (6, 24)
  assert (video.damage, video.share) == ('', 1)
  if kind == 'frames':
    assert half['frames'] == native['frames'][::2]
    assert twice['frames'] == [f for f in native['frames'] for _ in '12']
  else:
    frames = codec.decode(native, range(12))
    doubled = [frame for frame in frames for _ in '12']
    assert scenes.mean_error(whole(twice), doubled) < 4


def test_a_folder_of_images_as_a_video(tmp_path):
  folder = helpers.write_frames(tmp_path / 'clip', 11, size=(33, 48))
  record, video = codec.to_record(folder, defaults.Options(storage='video'))
  assert (record['num_frames'], video.share) == (11, 1)
  expected = [np.asarray(Image.open(p)) for p in sorted(folder.iterdir())]
  assert scenes.mean_error(whole(record), expected) < 5
  small, _ = codec.to_record(
    folder, defaults.Options(short_side=16, storage='video')
  )
  assert codec.decode(small, [10])[0].shape == (16, 23, 3)
  with pytest.raises(
    videos.VideoError, match=r'without timestamps, which fps=12'
  ):
    codec.to_record(folder, defaults.Options(fps=12.0))


def test_both_storages_of_a_dataset(tmp_path):
  source = helpers.write_folder(tmp_path / 'clips', clips=2)
  paths = {}
  for kind in defaults.STORAGES:
    paths[kind], _ = helpers.build(source, tmp_path / 'data', storage=kind)
    report = dataset.open(paths[kind]).report
    assert report['options'] == {**defaults.USUAL.as_dict(), 'storage': kind}
  pairs = zip(*(dataset.open(p).split('train') for p in paths.values()))
  for frames, video in pairs:
    assert frames['video_id'] == video['video_id']
    assert len(frames['frames']) == len(video['frames']) == 12
    one, other = (codec.decode(r, range(12)) for r in (frames, video))
    assert scenes.mean_error(one, other) < 5
  resampled, _ = helpers.build(source, tmp_path / 'data', fps=12.0)
  record = dataset.open(resampled).split('train')[0]
  assert (record['num_frames'], record['fps']) == (6, 12)
  assert len({*paths.values(), resampled}) == 3


@pytest.mark.parametrize(
  ('field', 'value', 'message'),
  [
    ('storage', 'jpeg', "is 'jpeg'; choose from 'frames', 'video'"),
    ('fps', -1.0, 'is -1.0; it must be from 0 to 1000'),
    ('quality', 0, 'is 0; it must be from 1 to 100'),
  ],
)
def test_options_out_of_range(tmp_path, field, value, message):
  with pytest.raises(errors.InputError, match=f'data.{field} {message}'):
    helpers.build(tmp_path, tmp_path, **{field: value})
