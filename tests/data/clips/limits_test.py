"""Clips of any length and pictures of any size must not fill the memory."""

import fractions
import types
import warnings

import av
import numpy as np
from PIL import Image
import pytest

from support import helpers
from tsm_jax import errors, predict
from tsm_jax.data import build, defaults
from tsm_jax.data.clips import codec, limits, videos
from tsm_jax.data.doctor import examine
from tsm_jax.data.input import preprocess
from tsm_jax.data.store import dataset


@pytest.mark.parametrize('kind', defaults.STORAGES)
@pytest.mark.parametrize('fps', [0.0, 48.0])
def test_reading_stops_at_the_limit(tmp_path, kind, fps, monkeypatch):
  path = helpers.write_video(tmp_path / 'a.mp4', 12)
  count = 24 if fps else 12
  record, _ = codec.to_record(
    path, defaults.Options(storage=kind, fps=fps, max_frames=count)
  )
  assert record['num_frames'] == count  # as many as the limit are allowed
  added = []
  add = codec.Writer.add

  def spy(self, image):
    added.append(image)
    add(self, image)

  monkeypatch.setattr(codec.Writer, 'add', spy)
  with pytest.raises(
    videos.VideoError,
    match=r'^is longer than max_frames, 5: 6 frames are counted so far$',
  ):
    codec.to_record(path, defaults.Options(storage=kind, fps=fps, max_frames=5))
  assert len(added) <= 5


@pytest.mark.parametrize('modality', ['rgb', 'flow'])
def test_folders_of_images_too(tmp_path, modality):
  folder = tmp_path / 'clip'
  if modality == 'flow':
    helpers.write_flow(folder, 6)
  else:
    helpers.write_frames(folder, 6)
  for kind in defaults.STORAGES if modality == 'rgb' else ('frames',):
    record, _ = codec.to_record(
      folder, defaults.Options(storage=kind, max_frames=6), modality=modality
    )
    assert record['num_frames'] == 6
    with pytest.raises(
      videos.VideoError,
      match=r'^is longer than max_frames, 5: 6 frames are counted so far$',
    ):
      codec.to_record(
        folder, defaults.Options(storage=kind, max_frames=5), modality=modality
      )


def test_a_build_excludes_longer_clips_by_name(tmp_path, capsys):
  root = tmp_path / 'clips'
  for i in range(4):
    for label in ('jump', 'run'):
      helpers.write_video(root / label / f'{i}.mp4', 5, seed=i)
  helpers.write_video(root / 'run' / 'long.mp4', 6)
  args = ('folder', '--manual_dir', root, '--data_dir', tmp_path / 'data')

  def built(*more):
    build.main([*map(str, args), '--max_excluded', '0.5', *more])
    out = capsys.readouterr().out
    return out, out.splitlines()[-1].partition('source=')[2]

  out, path = built('--max_frames', '5')
  report = dataset.open(path).report
  reason = 'is longer than max_frames, 5: 6 frames are counted so far'
  assert report['excluded'] == [['run/long.mp4', reason]]
  assert f'not used: run/long.mp4: {reason}' in out
  assert report['options'] == {**defaults.USUAL.as_dict(), 'max_frames': 5}
  # The usual limit is no part of a dataset's name: those of before are found.
  _, whole = built()
  assert whole != path
  assert dataset.open(whole).report['options'] == defaults.USUAL.as_dict()
  config = {**helpers.DATA, 'source': str(root), 'data_dir': tmp_path / 'other'}
  same = dataset.prepare({**config, 'max_frames': defaults.USUAL.max_frames})
  assert same.name == dataset.prepare(config).name
  with pytest.raises(errors.InputError, match=r'^data\.max_frames is 0; it mu'):
    dataset.prepare({**config, 'max_frames': 0})
  with pytest.raises(SystemExit):
    build.main([*map(str, args), '--max_frames', '0'])


def write_large(path, width, height, codec='png'):
  """A grey video of one picture, quickly."""
  with av.open(str(path), 'w') as container:
    stream = container.add_stream(codec, rate=5)
    stream.width, stream.height, stream.pix_fmt = width, height, 'gray'
    image = np.zeros((height, width), np.uint8)
    frame = av.VideoFrame.from_ndarray(image, format='gray')
    container.mux(stream.encode(frame))
    container.mux(stream.encode())


def test_large_pictures_of_videos(tmp_path):
  path = tmp_path / 'a.mov'
  write_large(path, 16_400, 4100)
  reason = (
    'has pictures of 16400x4100 pixels, which is more than 8192x8192 in all'
  )
  with pytest.raises(videos.VideoError, match=f'^{reason}$'):
    videos.read(path, lambda image: pytest.fail('was decoded'))
  assert examine.facts(str(path))['error'] == reason
  write_large(path, 16_400, 40)  # wide, but not large
  assert videos.read(path).frames[0].shape == (40, 16_400, 3)


def test_pictures_that_grow_in_the_middle(tmp_path, monkeypatch):
  """FFmpeg is told of the limit: the container's header does not know them."""
  path = tmp_path / 'a.mkv'
  with av.open(str(path), 'w') as container:
    stream = container.add_stream('mjpeg', rate=5)
    stream.width, stream.height, stream.pix_fmt = 48, 32, 'yuvj420p'
    large = av.CodecContext.create('mjpeg', 'w')
    large.width, large.height, large.pix_fmt = 128, 96, 'yuvj420p'
    large.time_base = fractions.Fraction(1, 5)
    for encoder, size, start in ((stream, (32, 48), 0), (large, (96, 128), 6)):
      for i, image in enumerate(helpers.draw(6, size), start):
        frame = av.VideoFrame.from_ndarray(image, 'rgb24')
        frame.pts, frame.time_base = i, fractions.Fraction(1, 5)
        for packet in encoder.encode(frame):
          packet.stream = stream
          container.mux(packet)
  assert len(videos.read(path).frames) == 12
  monkeypatch.setattr(limits, 'MAX_PIXELS', 64 * 64)
  video = videos.read(path)
  assert len(video.frames) == 6
  assert video.damage.startswith('6 of ')


@pytest.mark.parametrize('size', [(8200, 8200), (10_000, 10_000)])
def test_large_images_of_folders(tmp_path, size):
  folder = helpers.write_frames(tmp_path / 'clip', 3)
  Image.new('1', size).save(folder / '00004.png')
  record, video = codec.to_record(folder)
  assert record['num_frames'] == 3
  assert video.damage == (
    '3 of 4 images are good: 00004.png is unreadable: has pictures of '
    f'{size[0]}x{size[1]} pixels, which is more than 8192x8192 in all'
  )


def test_images_that_pillow_refuses(tmp_path):
  folder = tmp_path / 'clip'
  folder.mkdir()
  Image.new('1', (14_000, 14_000)).save(folder / '1.png')
  with (
    warnings.catch_warnings(),
    pytest.raises(videos.NoFrameError, match=r'1\.png is unreadable: Image si'),
  ):
    warnings.simplefilter('error')
    codec.to_record(folder)


@pytest.mark.parametrize('size', [(16_384, 2), (2, 16_384), (8192, 7)])
def test_pictures_that_are_a_line(tmp_path, size):
  """Enlarged to a usual height they would fill the memory."""
  path = tmp_path / 'a.mov'
  write_large(path, *size)
  with pytest.raises(videos.VideoError, match='one side more than 1000 times'):
    videos.read(path, lambda image: pytest.fail('was decoded'))


@pytest.mark.parametrize('suffix', ['mkv', 'mp4'])
def test_all_frames_together(tmp_path, monkeypatch, suffix):
  """Also those that are skipped; where they are counted, before any decodes."""
  path = helpers.write_video(tmp_path / f'a.{suffix}', 60, (32, 32))
  monkeypatch.setattr(limits, 'CLIP_WIDTH', 32)
  monkeypatch.setattr(limits, 'CLIP_HEIGHT', 30 * 32 / 20_000)
  seen = []
  with pytest.raises(videos.VideoError, match='has more pixels, in all its fr'):
    videos.read(path, seen.append, fps=2)
  assert len(seen) == (3 if suffix == 'mkv' else 0)
  monkeypatch.setattr(limits, 'CLIP_HEIGHT', 60 * 32 / 20_000)
  assert len(videos.read(path, fps=2).frames) == 5
  folder = helpers.write_frames(tmp_path / 'clip', 60, size=(32, 32))
  codec.to_record(folder)
  monkeypatch.setattr(limits, 'CLIP_HEIGHT', 59 * 32 / 20_000)
  with pytest.raises(videos.VideoError, match='has more pixels, in all its fr'):
    codec.to_record(folder)


def test_a_picture_that_is_repeated_counts_each_time(tmp_path, monkeypatch):
  path = helpers.write_video(tmp_path / 'a.mkv', 6, (32, 32), fps=1)
  monkeypatch.setattr(limits, 'CLIP_WIDTH', 32)
  monkeypatch.setattr(limits, 'CLIP_HEIGHT', 100 * 32 / 20_000)
  assert len(videos.read(path, fps=10).frames) == 60
  with pytest.raises(videos.VideoError, match='has more pixels, in all its fr'):
    videos.read(path, fps=20)


def test_the_time_of_a_clip(tmp_path, monkeypatch):
  path = helpers.write_video(tmp_path / 'a.mp4', 6)
  monkeypatch.setattr(limits, 'MAX_SECONDS', 0)
  with pytest.raises(videos.VideoError, match='takes more than 0 s to decode'):
    videos.read(path)


def test_a_record_has_an_end(tmp_path, monkeypatch):
  path = helpers.write_video(tmp_path / 'a.mp4', 6)
  folder = helpers.write_frames(tmp_path / 'clip', 6)
  monkeypatch.setattr(limits, 'MAX_RECORD_BYTES', 2000)
  for clip in (path, folder):
    with pytest.raises(videos.VideoError, match='takes more than 2e-06 GB st'):
      codec.to_record(clip)


@pytest.mark.parametrize('storage', defaults.STORAGES)
def test_pictures_that_cannot_be_stored(tmp_path, storage):
  path = tmp_path / 'a.mkv'
  write_large(path, 70_000, 72, 'ffv1')
  with pytest.raises(videos.VideoError, match='70000x72 pixels, which cannot'):
    codec.to_record(path, defaults.Options(storage=storage))


def test_predict_has_the_limit_too(tmp_path):
  """A checkpoint knows nothing of it."""
  path = helpers.write_video(tmp_path / 'a.mp4', 6)
  how = preprocess.Preprocessing(
    4, 32, (0.5,) * 3, (0.25,) * 3, **defaults.USUAL.as_dict()
  )
  trained = types.SimpleNamespace(preprocessing=how)
  assert predict.predict_video(len, trained, path, max_frames=6) == 1
  with pytest.raises(errors.InputError, match=r"a\.mp4': is longer than max_f"):
    predict.predict_video(len, trained, path, max_frames=5)
