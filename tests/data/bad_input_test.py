"""Odd and broken videos and lists, each as a user would meet it."""

import os
import shutil

import av
import numpy as np
import pytest

from support import helpers
from tsm_jax import errors
from tsm_jax.data import defaults
from tsm_jax.data.clips import codec, pixels, videos
from tsm_jax.data.input import preprocess, records
from tsm_jax.data.sources import folder
from tsm_jax.data.store import dataset

SIZE = (64, 96)

X265 = {'x265-params': 'log-level=none:qp=4'}

# Encoder, container, pixel format, options, and how far from the frames that
# went in those that come out may be, in levels.
FORMATS = {
  'grey': ('ffv1', 'mkv', 'gray', {}, 1),
  '10 bit': ('libx265', 'mp4', 'yuv420p10le', X265, 4),
  'alpha': ('qtrle', 'mov', 'argb', {}, 0.01),
  'alpha in VP9': ('libvpx-vp9', 'webm', 'yuva420p', {'crf': '4'}, 5),
  'AV1': ('libsvtav1', 'mp4', 'yuv420p', {'preset': '8', 'crf': '8'}, 5),
  'HEVC': ('libx265', 'mp4', 'yuv420p', X265, 4),
  '4:4:4': ('libx264', 'mkv', 'yuv444p', {'qp': '0'}, 2),
}


pytestmark = pytest.mark.usefixtures('quiet_ffmpeg')


def write(path, frames, encoder, pixel_format, options, source='rgb24'):
  with av.open(str(path), 'w') as container:
    stream = container.add_stream(encoder, rate=24, options=options)
    stream.height, stream.width = frames[0].shape[:2]
    stream.pix_fmt = pixel_format
    for image in frames:
      frame = av.VideoFrame.from_ndarray(image, source)
      container.mux(stream.encode(frame))
    container.mux(stream.encode())
  return path


@pytest.mark.parametrize('name', FORMATS)
def test_unusual_formats_are_read(tmp_path, name):
  encoder, suffix, *others, tolerance = FORMATS[name]
  frames = helpers.draw(6, SIZE)
  if name == 'grey':
    frames = [np.repeat(frame[..., :1], 3, axis=-1) for frame in frames]
  given, source = frames, 'rgb24'
  if 'alpha' in name:  # half of it transparent: the colours count
    alpha = np.full((*SIZE, 1), 255, np.uint8)
    alpha[:, :48] = 0
    given = [np.concatenate([f, alpha], axis=-1) for f in frames]
    source = 'rgba'
  path = write(tmp_path / f'a.{suffix}', given, encoder, *others, source)
  with av.open(str(path)) as container:  # it is what it is called
    stored = container.streams.video[0].format.name
  assert stored == others[0] or name == 'alpha in VP9'  # which hides it
  video = videos.read(path)
  assert (len(video.frames), video.damage) == (6, '')
  for frame, expected in zip(video.frames, frames):
    assert frame.shape == (*SIZE, 3) and frame.dtype == np.uint8
    assert abs(frame.astype(int) - expected).mean() < tolerance
  record, _ = codec.to_record(path, defaults.Options(short_side=32))
  assert (record['height'], record['width']) == (32, 48)


def build(source, tmp_path, **options):
  """The built dataset's report and `{video_id: record}` of all its splits."""
  path, _ = helpers.build(source, tmp_path / 'data', **options)
  report = dataset.open(path).report
  splits = [split for split, lengths in report['num_frames'].items() if lengths]
  found = [r for split in splits for r in dataset.open(path).split(split)]
  return path, report, {r['video_id'].decode(): r for r in found}


def test_broken_videos_are_told_and_others_are_built(tmp_path):
  root = helpers.write_folder(tmp_path / 'clips', clips=2, num_frames=24)
  run = root / 'run'
  header = helpers.write_video(run / 'header.mp4')
  data = bytearray(header.read_bytes())
  start = data.index(b'moov')
  data[start : start + 60] = b'x' * 60
  header.write_bytes(data)
  cut = helpers.write_video(run / 'cut.mkv', 60, (64, 64))
  cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 3])
  with av.open(str(run / 'sound.mp4'), 'w') as container:
    stream = container.add_stream('aac', rate=8000, layout='mono')
    sound = av.AudioFrame.from_ndarray(
      np.zeros((1, 1024), np.float32), 'fltp', 'mono'
    )
    sound.sample_rate = 8000
    container.mux(stream.encode(sound))
    container.mux(stream.encode())
  _, report, found = build(root, tmp_path, max_excluded=0.5)
  reasons = dict(report['excluded'])
  assert reasons.pop('run/header.mp4').startswith('not a readable video: ')
  assert reasons.pop('run/cut.mkv').startswith('ends after ')
  assert reasons == {'run/sound.mp4': 'has no video stream'}
  assert sorted(found) == [
    f'{c}/{i}.mp4' for c in ('jump', 'run') for i in '01'
  ]


def views_of(path, name):
  """The frames that evaluation and training see of a clip of 4 frames."""
  config = helpers.tiny_config('', '')
  how = preprocess.Preprocessing.from_config(config)
  for split in ('train', 'val'):
    for record in dataset.open(path).split(split):
      if record['video_id'].decode() == name:
        seen = records.eval_views(record, how, records.Views())
        clip = records.train_clip(
          record, np.random.default_rng(0), how, (1, 0.875)
        )
        return seen[0], clip['frames']
  raise AssertionError(f'{name} is not in {path}')


def test_a_clip_of_one_frame(tmp_path):
  root = helpers.write_folder(tmp_path / 'clips', clips=2)
  helpers.write_video(root / 'run' / 'one.mp4', 1)
  path, _, found = build(root, tmp_path)
  assert found['run/one.mp4']['num_frames'] == 1
  for frames in views_of(path, 'run/one.mp4'):
    assert frames.shape == (4, 32, 32, 3)
    np.testing.assert_array_equal(frames, frames[:1].repeat(4, axis=0))


def test_portrait(tmp_path):
  root = helpers.write_folder(tmp_path / 'clips', clips=2)
  high = helpers.write_video(root / 'run' / 'high.mp4', 12, (96, 48))
  path, _, found = build(root, tmp_path, short_side=36)
  record = found['run/high.mp4']
  assert (record['height'], record['width']) == (72, 36)
  seen, clip = views_of(path, 'run/high.mp4')
  assert seen.shape == clip.shape == (4, 32, 32, 3)
  # The middle of the picture, of 36 by 72 pixels.
  frames = videos.read(high).frames
  middle = pixels.resize(frames[1], 36, 72)[20:52, 2:34]
  assert abs(seen[0].astype(int) - middle).mean() < 4


def test_names_with_blanks_and_letters_of_all_kinds(tmp_path):
  root = tmp_path / 'meine Clips – 视频'
  names = ('läuft los/clip één (1).mp4', '跑/a  b.mp4', "o'c & <x>/%20.mp4")
  for number, name in enumerate(names):
    helpers.write_video(root / name, seed=number)
  path, _, found = build(root, tmp_path, holdout=0)
  assert sorted(found) == sorted(names)
  assert dataset.open(path).labels == sorted(n.split('/')[0] for n in names)
  for name in names:
    record, _ = codec.to_record(root / name)
    assert list(found[name]['frames']) == record['frames']


def test_links_out_of_the_folder_are_followed(tmp_path):
  outside = helpers.write_folder(tmp_path / 'elsewhere')
  root = tmp_path / 'clips'
  (root / 'run').mkdir(parents=True)
  (root / 'jump').symlink_to(outside / 'jump')
  (root / 'run' / 'link.mp4').symlink_to(outside / 'run' / '0.mp4')
  (root / 'run' / 'up.mp4').symlink_to('../../elsewhere/run/1.mp4')
  (root / 'run' / 'gone.mp4').symlink_to(outside / 'run' / 'none.mp4')
  _, report, found = build(root, tmp_path, max_excluded=0.2)
  assert sorted(found) == [
    *(f'jump/{i}.mp4' for i in range(4)),
    *('run/link.mp4', 'run/up.mp4'),
  ]
  assert report['excluded'] == [['run/gone.mp4', 'file does not exist']]


def test_rows_of_a_list(tmp_path):
  """Twice the same, a missing file, and paths that lead elsewhere."""
  clips = helpers.write_folder(tmp_path / 'clips')
  rows = [
    'path,label',
    '../clips/run/0.mp4,run',
    f'{clips}/run/1.mp4,run',
    'none.mp4,run',
    '../clips/jump/0.mp4,jump',
    '../clips/run/0.mp4,run',
    '../lists/../clips/jump/0.mp4,run',
  ]
  (tmp_path / 'lists').mkdir()
  source = tmp_path / 'lists' / 'all.csv'
  source.write_text('\n'.join(rows))
  _, report, found = build(source, tmp_path, max_excluded=0.5, holdout=0)
  assert sorted(found) == sorted(
    ['../clips/run/0.mp4', f'{clips}/run/1.mp4', '../clips/jump/0.mp4']
  )
  assert report['excluded'] == [
    ['../clips/run/0.mp4', 'is listed more than once; the first row counts'],
    [
      '../lists/../clips/jump/0.mp4',
      'is listed more than once; the first row counts',
    ],
    ['none.mp4', 'file does not exist'],
  ]


@pytest.mark.parametrize('what', ['folder', 'list'])
def test_an_empty_split_is_a_sentence(tmp_path, what):
  root = helpers.write_folder(tmp_path / 'clips' / 'train').parent
  if what == 'folder':
    (root / 'val').mkdir()
    source = root
  else:
    rows = [f'{p},{p.parent.name}' for p in sorted(root.rglob('*.mp4'))]
    source = tmp_path / 'lists'
    source.mkdir()
    (source / 'train.csv').write_text('\n'.join(['path,label', *rows]))
    (source / 'val.csv').write_text('path,label\n')
  path, _, found = build(source, tmp_path)
  assert len(found) == 8
  with pytest.raises(errors.InputError, match="no clip in the split 'val'"):
    dataset.open(path).split('val')
  shutil.rmtree(root / 'train')
  (root / 'train').mkdir()
  with pytest.raises(errors.InputError, match='holds no usable video'):
    folder.scan(source)
  assert os.path.isdir(root / 'train')
