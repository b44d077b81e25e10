"""How the images of a clip may be numbered."""

import pytest

from support import helpers
from tsm_jax.data.clips import codec


@pytest.mark.parametrize(
  'first, step', [(1000, 1), (100, 1), (0, 5), (1, 5), (5, 5), (1603456789, 40)]
)
def test_numbers_may_start_anywhere_and_have_a_step(tmp_path, first, step):
  folder = helpers.write_frames(tmp_path / 'a', 8)
  stored = [
    (folder / name).read_bytes()
    for name in sorted(p.name for p in folder.iterdir())
  ]
  for i, name in enumerate(sorted(p.name for p in folder.iterdir())):
    (folder / name).rename(folder / f'x{first + step * i}.jpg')
  record, video = codec.to_record(folder)
  assert record['frames'] == stored and not video.damage and video.share == 1
  (folder / f'x{first + step * 3}.jpg').unlink()
  record, video = codec.to_record(folder)
  assert record['num_frames'] == 7 and video.share < 0.9
  assert 'is missing' in video.damage


@pytest.mark.parametrize('name', ['frame ({}).jpg', '({}).PNG', 'a ({}).bmp'])
def test_numbers_in_brackets(tmp_path, name):
  folder = helpers.write_frames(tmp_path / 'a', 12, name=name)
  record, video = codec.to_record(folder)
  assert record['num_frames'] == 12 and not video.damage
  # A copy beside numbered images is none of them.
  folder = helpers.write_frames(tmp_path / 'b', 12)
  (folder / '00001 (1).jpg').write_bytes(b'a copy')
  record, video = codec.to_record(folder)
  assert record['num_frames'] == 12 and not video.damage
