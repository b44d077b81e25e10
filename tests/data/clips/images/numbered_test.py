import pytest

from support import helpers
from tsm_jax.data.clips import codec


@pytest.mark.parametrize(
  ('first', 'step', 'how'),
  [
    (100, 1, 'from 100 to 119'),
    (1000, 5, 'from 1000 to 1095 in steps of 5'),
    (0, 5, 'from 0 to 95 in steps of 5'),
  ],
)
def test_numbers_may_be_regular_from_anywhere(tmp_path, first, step, how):
  folder = tmp_path / 'clip'
  helpers.write_frames(tmp_path / 'usual', 20)
  folder.mkdir()
  for i in range(20):
    (tmp_path / 'usual' / f'{i + 1:05d}.jpg').rename(
      folder / f'{first + step * i}.jpg'
    )
  record, video = codec.to_record(folder)
  assert record['num_frames'] == 20 and video.share == 1
  assert video.damage == (
    f'20 of 20 images are good: they are numbered {how}, which is taken as all '
    'of the clip'
  )
  (folder / f'{first + step * 7}.jpg').unlink()
  video = codec.to_record(folder)[1]
  assert video.share == 0.95 and video.damage == (
    f'19 of 20 images are good: image {first + step * 7} is missing'
  )


def test_a_few_images_are_no_numbering_of_their_own(tmp_path):
  folder = helpers.write_frames(tmp_path / 'a', 6)
  for number in (2, 4, 6):
    (folder / f'{number:05d}.jpg').unlink()
  video = codec.to_record(folder)[1]
  assert video.damage == '3 of 5 images are good: image 2 is missing'


@pytest.mark.parametrize(
  'name', ['frame ({}).jpg', '{}_rgb.jpg', 'img{}-small.JPG', 'a1 ({}) b.jpg']
)
def test_a_number_may_be_followed_by_a_text(tmp_path, name):
  record, video = codec.to_record(
    helpers.write_frames(tmp_path / 'a', 12, name=name.replace('{}', '{:d}'))
  )
  expected, _ = codec.to_record(helpers.write_frames(tmp_path / 'b', 12))
  assert record['frames'] == expected['frames'] and not video.damage
