import pytest

from support import helpers, listed
from tsm_jax.data.sources import folder


@pytest.mark.parametrize(
  'name, split',
  [
    *(('eval', 'val'), ('Evaluation', 'val'), ('validate', 'val')),
    *(('dev', 'val'), ('test', 'test'), ('testing', 'test')),
  ],
)
def test_names_of_splits(tmp_path, name, split):
  listed.touch(tmp_path, 'train/run/a.mp4', f'{name}/run/b.mp4')
  assert listed.table(folder.scan(tmp_path)) == {
    'train/run/a.mp4': ('run', 'train'),
    f'{name}/run/b.mp4': ('run', split),
  }


@pytest.mark.parametrize(
  'classes',
  [('bus', 'car', 'train'), ('eval', 'Train', 'bus'), ('dev', 'a', 'b')],
)
@pytest.mark.parametrize('clip', ['1.mp4', '1/00001.jpg'])
def test_a_class_may_be_called_as_a_split(tmp_path, classes, clip):
  listed.touch(tmp_path, *(f'{name}/{clip}' for name in classes))
  listing = folder.scan(tmp_path, holdout=0)
  assert listing.labels == sorted(classes) and not listing.notes


def test_deeper_classes_called_as_other_splits(tmp_path):
  listed.touch(tmp_path, *(f'{c}/deep/1.mp4' for c in ('testing', 'coding')))
  assert folder.scan(tmp_path, holdout=0).labels == ['coding', 'testing']


def test_what_may_be_a_split_or_a_class_is_asked(tmp_path):
  listed.touch(tmp_path, 'train/x/1.mp4', 'bus/x/1.mp4')
  listed.fails(tmp_path, "train' may be a split or, as 'bus' beside it, a cl")


def test_folders_of_images_are_clips_where_a_class_has_no_video(tmp_path):
  listed.touch(tmp_path, 'run/1/00001.jpg', 'run/1/00002.jpg', 'run/2/1.png')
  listed.touch(tmp_path, 'run/about.txt', 'run/1/._00001.jpg')
  listed.touch(tmp_path, 'jump/3.mp4', 'jump/thumbs/3.jpg')
  listing = folder.scan(tmp_path, holdout=0)
  assert listed.table(listing) == {
    'jump/3.mp4': ('jump', 'train'),
    'run/1': ('run', 'train'),
    'run/2': ('run', 'train'),
  }
  assert listing.notes == [
    'jump/thumbs/3.jpg was ignored: it is no video',
    'run/about.txt was ignored: it is no video',
  ]
  listed.touch(tmp_path, 'sit/00001.jpg')
  listed.fails(tmp_path, "sit' holds no video; .* a folder of numbered images")


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
