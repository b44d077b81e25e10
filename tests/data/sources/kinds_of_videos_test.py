"""What counts as a video in a folder of classes."""

import pytest

from support import helpers, listed
from tsm_jax import errors
from tsm_jax.data.sources import folder


@pytest.mark.parametrize(
  'ending',
  [
    *('mpg', 'mpeg', 'm4v', 'wmv', 'MTS', 'm2ts', 'ts', '3gp', 'ogv', 'flv'),
    *('gif', 'vob', 'asf', 'mxf', 'y4m', 'F4V'),
  ],
)
def test_every_ending_of_a_video_counts(tmp_path, ending):
  listed.touch(tmp_path, f'run/a.{ending}', 'run/b.mp4')
  listing = folder.scan(tmp_path, holdout=0)
  assert len(listing.items) == 2 and not listing.notes


def test_other_files_are_opened(tmp_path):
  video = helpers.write_video(tmp_path / 'run' / 'a.mp4')
  for name in ('b', 'c.video', 'd.mp4~', 'e.dat'):
    (tmp_path / 'run' / name).write_bytes(video.read_bytes())
  listed.touch(tmp_path, 'run/f', 'run/g.dat', 'run/README.txt')
  (tmp_path / 'run' / 'h.dat').write_bytes(bytes(range(256)) * 40)
  listing = folder.scan(tmp_path, holdout=0)
  found = ['a.mp4', 'b', 'c.video', 'd.mp4~', 'e.dat']
  assert sorted(listed.table(listing)) == [f'run/{name}' for name in found]
  assert listing.notes == [
    f'run/{name} was ignored: it is no video'
    for name in ('README.txt', 'f', 'g.dat', 'h.dat')
  ]


def test_all_kinds_are_built_and_broken_ones_count(tmp_path):
  kinds = {'mpg': 'mpeg2video', 'wmv': 'wmv2', 'MTS': 'libx264', 'flv': 'flv'}
  run = tmp_path / 'clips' / 'run'
  for ending, codec in kinds.items():
    helpers.write_video(run / f'{ending}.{ending}', 4, codec=codec)
  path, _ = helpers.build(tmp_path / 'clips', tmp_path / 'data', holdout=0)
  assert sorted(helpers.records(path, 'train')) == sorted(
    f'run/{ending}.{ending}' for ending in kinds
  )
  (run / 'broken.mpeg').write_bytes(b'nothing' * 99)
  with pytest.raises(errors.InputError, match='1 of 5 videos cannot be used'):
    helpers.build(tmp_path / 'clips', tmp_path / 'data', holdout=0)
