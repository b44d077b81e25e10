import io

import numpy as np
from PIL import ExifTags, Image
import pytest

from support import helpers
from tsm_jax.data import defaults
from tsm_jax.data.clips import codec, pixels, videos


def write(folder, num_frames=6, **kwargs):
  return helpers.write_frames(folder, num_frames, **kwargs)


def names(folder):
  return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize('first', [0, 1])
@pytest.mark.parametrize('name', ['{:05d}.jpg', 'img_{:05d}.jpg', '{}.JPEG'])
def test_jpeg_bytes_are_kept(tmp_path, name, first):
  folder = write(tmp_path / 'a (1)!', 12, name=name, first=first)
  record, video = codec.to_record(
    folder, defaults.Options(short_side=32, quality=50)
  )
  expected = [
    (folder / name.format(i)).read_bytes() for i in range(first, first + 12)
  ]
  assert record.pop('frames') == video.frames == expected
  assert record == {'num_frames': 12, 'height': 32, 'width': 48, 'fps': 0}
  assert video.damage == '' and video.share == 1


def test_only_what_must_change_is_encoded_again(tmp_path):
  folder = write(tmp_path / 'large', size=(40, 60))
  record, _ = codec.to_record(folder, defaults.Options(short_side=20))
  assert (record['height'], record['width']) == (20, 30)
  image = pixels.decode_jpeg((folder / '00001.jpg').read_bytes())
  small = pixels.resize(image, 30, 20)
  assert record['frames'][0] == pixels.encode_jpeg(small, 90)
  # An image of another size or format becomes like the others.
  folder = write(tmp_path / 'mixed')
  kept = [(folder / name).read_bytes() for name in names(folder)]
  for name, size, kind in (
    ('00002.jpg', (32, 48), 'PNG'),
    ('00003.jpg', (64, 96), 'JPEG'),
  ):
    image = Image.fromarray(np.full((*size, 3), 77, np.uint8))
    image.save(folder / name, kind)
  record, _ = codec.to_record(folder)
  for number, data in enumerate(record['frames']):
    with Image.open(io.BytesIO(data)) as image:
      assert image.format == 'JPEG' and image.size == (48, 32)
    if number in (1, 2):
      assert abs(pixels.decode_jpeg(data).astype(int) - 77).max() <= 1
    else:
      assert data == kept[number]


def test_turned_images_are_stored_upright(tmp_path):
  folder = write(tmp_path / 'a', 3)
  for path in folder.iterdir():
    with Image.open(path) as image:
      if path.name == '00003.jpg':
        upright = np.rot90(np.asarray(image), -1)
      exif = image.getexif()
      exif[ExifTags.Base.Orientation] = 6  # turn clockwise to show it
      image.save(path, exif=exif, quality=95)
  record, _ = codec.to_record(folder, defaults.Options(quality=95))
  assert (record['height'], record['width']) == (48, 32)
  found = pixels.decode_jpeg(record['frames'][2])
  assert found.shape == upright.shape == (48, 32, 3)
  assert abs(found.astype(int) - upright).mean() < 3


def test_gaps_and_unreadable_images_are_damage(tmp_path):
  folder = write(tmp_path / 'a', 20)
  (folder / '00007.jpg').unlink()
  record, video = codec.to_record(folder)
  assert record['num_frames'] == 19 and video.share == 0.95
  assert video.damage == '19 of 20 images are good: image 7 is missing'
  path = folder / '00003.jpg'
  path.write_bytes(path.read_bytes()[:-200])
  (folder / '00009.jpg').write_bytes(b'')
  record, video = codec.to_record(folder)
  assert record['num_frames'] == 17 and video.share == 0.85
  assert '17 of 20 images are good: 00003.jpg is unreadable' in video.damage
  (folder / '00001.jpg').unlink()  # neither is the beginning
  assert codec.to_record(folder)[1].share == 0.8


def test_what_is_beside_the_images(tmp_path):
  folder = write(tmp_path / 'a')
  for name in ('._00001.jpg', 'flow_x_00001.jpg', 'Thumbs.db', 'notes.txt'):
    (folder / name).write_bytes(b'x')
  record, video = codec.to_record(folder)
  assert record['num_frames'] == 6 and not video.damage


def test_folders_that_are_no_clip(tmp_path):
  def fails(message):
    with pytest.raises(videos.VideoError, match=message):
      codec.to_record(folder)

  folder = tmp_path / 'a'
  folder.mkdir()
  fails('holds no numbered image')
  (folder / '00001.jpg').write_bytes(b'no image')
  fails('no image can be read: 00001.jpg is unreadable')
  write(folder)
  (folder / '3.jpg').write_bytes(b'')
  fails(r'00003\.jpg and 3\.jpg have the same number')
  (folder / '3.jpg').rename(folder / 'img_3.jpg')
  fails('holds images of several names: , img_')


@pytest.mark.parametrize(
  'name', ['flow_{}_{:05d}.jpg', '000012-{}_{:05d}.jpg', '{}_{:05d}.jpg']
)
def test_pairs_of_flow_are_kept(tmp_path, name):
  write(tmp_path / 'a', 7, name='img_{:05d}.jpg')  # RGB frames beside them
  helpers.write_flow(tmp_path / 'a', 6, name)
  record, video = codec.to_record(
    tmp_path / 'a', defaults.Options(short_side=32, quality=50), modality='flow'
  )
  assert record.pop('frames') == [
    (tmp_path / 'a' / name.format(axis, number)).read_bytes()
    for number in range(1, 7)
    for axis in 'xy'
  ]
  assert record == {'num_frames': 6, 'height': 32, 'width': 48, 'fps': 0}
  assert video.damage == '' and video.share == 1


def test_flow_that_is_shrunk_is_that_of_pillow(tmp_path):
  helpers.write_flow(tmp_path / 'a', 2)
  record, _ = codec.to_record(
    tmp_path / 'a', defaults.Options(short_side=16, quality=95), modality='flow'
  )
  assert (record['height'], record['width']) == (16, 24)
  for number, axis in enumerate('xyxy'):
    path = tmp_path / 'a' / f'flow_{axis}_{1 + number // 2:05d}.jpg'
    with Image.open(path) as image:
      small = np.asarray(image.convert('L').resize((24, 16), 2))
    with Image.open(io.BytesIO(record['frames'][number])) as stored:
      assert stored.mode == 'L'
      assert abs(np.asarray(stored).astype(int) - small).max() <= 3


def packed(folder, flow, ending='jpg', blank=0):
  """Flow as images of x in red, y in green and nothing in blue."""
  folder.mkdir()
  for number, pair in enumerate(flow, 1):
    blue = np.full((*pair.shape[:2], 1), blank, np.uint8)
    image = Image.fromarray(np.concatenate([pair, blue], axis=-1))
    image.save(folder / f'{number:06d}.{ending}', quality=95)
  return folder


def test_flow_in_one_image(tmp_path):
  flow = helpers.write_flow(tmp_path / 'pairs', 3)
  folder = packed(tmp_path / 'jpg', flow)
  record, _ = codec.to_record(folder, modality='flow')
  kept = [path.read_bytes() for path in sorted(folder.iterdir())]
  assert record['num_frames'] == 3
  assert record['frames'] == [kept[0], b'', kept[1], b'', kept[2], b'']
  # A new JPEG of colours would blur x and y: each gets its own.
  folder = packed(tmp_path / 'png', flow, 'png')
  record, _ = codec.to_record(
    folder, defaults.Options(quality=95), modality='flow'
  )
  assert record['num_frames'] == 3
  for number, data in enumerate(record['frames']):
    found = pixels.decode_jpeg(data, gray=True).astype(int)
    assert abs(found - flow[number // 2, ..., number % 2]).max() <= 6


@pytest.mark.parametrize('axis', ['x', 'y'])
def test_flow_without_its_other_axis_is_named(axis, tmp_path):
  helpers.write_flow(tmp_path / 'a', 6)
  (tmp_path / 'a' / f'flow_{axis}_00006.jpg').unlink()
  record, video = codec.to_record(tmp_path / 'a', modality='flow')
  assert record['num_frames'] == 5
  assert video.damage == f'5 of 5 images are good: image 6 has no {axis}'


def test_what_is_no_flow(tmp_path):
  def fails(folder, message):
    with pytest.raises(videos.VideoError, match=message):
      codec.to_record(folder, modality='flow')

  fails(write(tmp_path / 'rgb'), '00001.jpg is unreadable: it is a picture')
  video = helpers.write_video(tmp_path / 'a.mp4')
  fails(video, 'is not a folder of images')
  fails(tmp_path / 'none', 'file does not exist')
  folder = tmp_path / 'flow'
  helpers.write_flow(folder)
  for path in folder.glob('flow_y_*'):
    path.rename(tmp_path / path.name)
  fails(folder, r'holds images flow_x_\.\.\. without any flow_y_')
  for number in (1, 2, 3, 5, 6):
    path = tmp_path / f'flow_y_{number:05d}.jpg'
    path.rename(folder / path.name)
  (folder / 'flow_x_00002.jpg').write_bytes(b'cut')
  record, video = codec.to_record(folder, modality='flow')
  assert record['num_frames'] == 4 and len(record['frames']) == 8
  assert video.share == 4 / 6
  assert 'flow_x_00002.jpg or flow_y_00002.jpg is unreadable' in video.damage
  helpers.write_flow(folder, name='other_{}_{:05d}.jpg')
  fails(folder, 'flow of several names: flow_, other_')


def test_numbers_may_be_timestamps(tmp_path):
  folder = tmp_path / 'a'
  write(folder, 3)
  for number in range(3):
    name = f'{1603456789123 + 40 * number}.jpg'
    (folder / f'{number + 1:05d}.jpg').rename(folder / name)
  record, video = codec.to_record(folder)
  assert record['num_frames'] == 3 and video.share < 1e-9
  assert 'start at 1603456789123 instead of 0 or 1' in video.damage


@pytest.mark.parametrize('modality', ['rgb', 'flow'])
def test_grey_of_16_bits_is_scaled(tmp_path, modality):
  values = np.array([0, 255, 256, 25700, 32768, 65535], np.uint16)
  steps = np.repeat(np.repeat(values, 16)[None], 64, axis=0)
  for axis in ('x', 'y') if modality == 'flow' else ('img',):
    Image.fromarray(steps).save(tmp_path / f'{axis}_1.png')
  record, _ = codec.to_record(
    tmp_path, defaults.Options(short_side=64, quality=100), modality=modality
  )
  found = pixels.decode_jpeg(record['frames'][0], gray=modality == 'flow')
  middle = found[32, 8::16].reshape(6, -1).astype(int)
  assert abs(middle - [[0], [0], [1], [100], [128], [255]]).max() <= 1
