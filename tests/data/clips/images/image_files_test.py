"""Image files of folders that are odd, or no image files at all."""

import os

from PIL import Image
import pytest

from support import helpers
from tsm_jax.data import defaults
from tsm_jax.data.clips import codec, pixels, videos


@pytest.mark.parametrize('form', ['BMP', 'WEBP', 'PNG'])
def test_other_formats(tmp_path, form):
  frames = helpers.draw(3, (32, 48))
  for number, frame in enumerate(frames):
    path = tmp_path / f'{number}.{form.lower()}'
    Image.fromarray(frame).save(path, lossless=True)
  record, video = codec.to_record(tmp_path, defaults.Options(quality=100))
  assert (record['num_frames'], video.damage) == (3, '')
  for data, frame in zip(record['frames'], frames):
    assert abs(pixels.decode_jpeg(data).astype(int) - frame).mean() < 3
  # Beside JPEG and PNG images they are something else, such as a thumbnail.
  helpers.write_frames(tmp_path, 2, first=7)
  if form != 'PNG':
    assert codec.to_record(tmp_path)[0]['num_frames'] == 2


@pytest.mark.parametrize('form', ['EPS', 'GIF', 'TIFF', 'PPM', 'PDF'])
def test_a_format_is_not_known_by_its_name(tmp_path, form):
  """Pillow would start Ghostscript for EPS."""
  folder = helpers.write_frames(tmp_path, 9)
  Image.fromarray(helpers.draw(1, (32, 48))[0]).save(
    folder / '00010.jpg', format=form
  )
  record, video = codec.to_record(folder)
  assert record['num_frames'] == 9
  assert video.damage == (
    '9 of 10 images are good: 00010.jpg is unreadable: it is none of JPEG, '
    'PNG, BMP, WEBP'
  )


def test_images_that_are_no_files(tmp_path, monkeypatch):
  """Neither waits for ever nor fills the memory."""
  folder = helpers.write_frames(tmp_path / 'pipe', 9)
  os.mkfifo(folder / '00010.jpg')
  assert 'is not a regular file' in codec.to_record(folder)[1].damage
  folder = helpers.write_frames(tmp_path / 'device', 9)
  (folder / '00010.jpg').symlink_to('/dev/zero')
  assert 'is not a regular file' in codec.to_record(folder)[1].damage
  folder = helpers.write_frames(tmp_path / 'large', 9)
  with open(folder / '00010.jpg', 'wb') as file:
    file.truncate(40 * 10**9)
  assert codec.to_record(folder)[1].damage.endswith(
    'has 40000000000 bytes, which is more than 536870912'
  )
  folder = helpers.write_frames(tmp_path / 'link', 9)
  (folder / '00010.jpg').symlink_to(tmp_path / 'none')
  assert 'file does not exist' in codec.to_record(folder)[1].damage

  def refuse(path):
    raise PermissionError(13, 'Permission denied', path)

  monkeypatch.setattr(os, 'listdir', refuse)  # the superuser may read all
  with pytest.raises(videos.VideoError, match=r'read: Permission denied$'):
    codec.to_record(folder)


def test_an_image_that_is_gone_is_no_damage(tmp_path, monkeypatch):
  folder = helpers.write_frames(tmp_path, 9)
  names = [*os.listdir(folder), '00010.jpg']
  monkeypatch.setattr(os, 'listdir', lambda path: names)
  with pytest.raises(videos.PassingError, match=r'^file does not exist$'):
    codec.to_record(folder)
