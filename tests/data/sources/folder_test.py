import os
import pathlib
import re

import pytest

from support import listed
from tsm_jax.data.sources import folder, listings


def test_folder_of_classes(tmp_path):
  listed.touch(
    tmp_path, 'run/a.mp4', 'run/B.MP4', 'run/deep/c.WebM', 'a b/ü 1.avi'
  )
  listed.touch(tmp_path, 'a b/d.mov', 'a b/e.mkv')
  listing = folder.scan(tmp_path, holdout=0)
  assert listing.labels == ['a b', 'run']
  assert listed.table(listing) == {
    'a b/d.mov': ('a b', 'train'),
    'a b/e.mkv': ('a b', 'train'),
    'a b/ü 1.avi': ('a b', 'train'),
    'run/B.MP4': ('run', 'train'),
    'run/a.mp4': ('run', 'train'),
    'run/deep/c.WebM': ('run', 'train'),
  }
  assert [i.path for i in listing.items] == [
    tmp_path / i.video_id for i in listing.items
  ]
  assert listing.excluded == [] and listing.notes == []


@pytest.mark.parametrize('train', ['train', 'Training'])
@pytest.mark.parametrize('val', ['val', 'valid', 'Validation'])
def test_folders_of_splits(tmp_path, train, val):
  listed.touch(
    tmp_path, f'{train}/run/a.mp4', f'{val}/run/a.mp4', 'test/run/b.mp4'
  )
  listing = folder.scan(tmp_path)
  assert listed.table(listing) == {
    f'{train}/run/a.mp4': ('run', 'train'),
    f'{val}/run/a.mp4': ('run', 'val'),
    'test/run/b.mp4': ('run', 'test'),
  }


def test_every_file_is_used_excluded_or_noted(tmp_path):
  used = ['train/run/a.mp4', 'val/run/b.mp4', 'train/jump/d.mp4']
  excluded = ['train/no_class.mp4', 'val/swim/c.mp4']
  ignored = ['train/run/notes.txt', 'train/run/.x.mp4', 'train.old/run/e.mp4']
  ignored += ['f.mp4', 'extra/run/g.mp4']
  listed.touch(tmp_path, *used, *excluded, *ignored)
  listing = folder.scan(tmp_path)
  assert sorted(listed.table(listing)) == sorted(used)
  assert listing.excluded == [
    ('train/no_class.mp4', 'has no label'),
    ('val/swim/c.mp4', "has the label 'swim', which is not in the label map"),
  ]
  notes = [note.split(' was ignored')[0] for note in listing.notes]
  assert sorted(notes) == sorted(
    [*ignored, "class 'jump' has no video in the split 'val'"]
  )


def names(count):
  return [f'{c}/{i}.mp4' for c in ('run', 'jump') for i in range(count)]


def held_out(listing):
  return {
    name for name, (_, split) in listed.table(listing).items() if split == 'val'
  }


def test_hold_out(tmp_path):
  listed.touch(tmp_path, *names(60))
  few = held_out(folder.scan(tmp_path, holdout=0.25))
  assert few == held_out(folder.scan(tmp_path, holdout=0.25))
  assert few != held_out(folder.scan(tmp_path, holdout=0.25, holdout_seed=1))
  assert not held_out(folder.scan(tmp_path, holdout=0))
  listed.touch(tmp_path, *names(400))
  many = held_out(folder.scan(tmp_path, holdout=0.25))
  assert many & set(names(60)) == few  # none of the old ones has moved
  for label in ('run', 'jump'):
    share = sum(name.startswith(label) for name in many) / 400
    assert abs(share - 0.25) < 0.065  # three standard deviations


@pytest.mark.parametrize('holdout', [0.001, 0.5, 0.999])
def test_every_class_keeps_one_of_each(tmp_path, holdout):
  listed.touch(tmp_path, *names(3), 'alone/1.mp4')
  val = held_out(folder.scan(tmp_path, holdout=holdout))
  for label in ('run', 'jump'):
    assert 1 <= sum(name.startswith(label) for name in val) <= 2
  assert 'alone/1.mp4' not in val or holdout > 0.5


def test_hold_out_counts_only_what_can_be_used(tmp_path):
  listed.touch(tmp_path, 'a.mp4', 'b.mp4')
  rows = [
    ('a.mp4', 'x'),
    ('b.mp4', 'x'),
    *[(f'gone{i}', 'x') for i in range(9)],
  ]
  listing = folder.scan(listed.write_csv(tmp_path / 'l.csv', rows))
  assert sorted(split for _, split in listed.table(listing).values()) == [
    'train',
    'val',
  ]


def test_labels_file_sets_the_order(tmp_path):
  listed.touch(tmp_path, 'run/a.mp4', 'jump/b.mp4', 'swim/c.mp4')
  labels = tmp_path / 'labels.txt'
  labels.write_text('run\n\n jump \nfly\n', encoding='utf-8-sig')
  listing = folder.scan(tmp_path, labels, holdout=0)
  assert listing.labels == ['run', 'jump', 'fly']
  assert sorted(listed.table(listing)) == ['jump/b.mp4', 'run/a.mp4']
  assert [name for name, _ in listing.excluded] == ['swim/c.mp4']
  assert "class 'fly' has no video in the split 'train'" in listing.notes
  listed.fails(tmp_path, 'data.labels.*no such file', labels_file='/no/labels')
  labels.write_text('run\njump\nrun\n')
  listed.fails(tmp_path, "'run' more than once", labels_file=labels)
  labels.write_text('\n')
  listed.fails(tmp_path, 'names no class', labels_file=labels)
  labels.write_bytes(b'\xff\xfe')
  listed.fails(tmp_path, 'cannot be read', labels_file=labels)


def test_links(tmp_path):
  listed.touch(tmp_path, 'elsewhere/1.mp4', 'real.mp4')
  root = listed.touch(tmp_path / 'root', 'run/a.mp4')
  (root / 'jump').symlink_to(tmp_path / 'elsewhere')
  (root / 'run' / 'b.mp4').symlink_to(tmp_path / 'real.mp4')
  (root / 'run' / 'broken.mp4').symlink_to(tmp_path / 'gone.mp4')
  (root / 'run' / 'circle').symlink_to(root / 'run')
  listing = folder.scan(root, holdout=0)
  assert listed.table(listing) == {
    'jump/1.mp4': ('jump', 'train'),
    'run/a.mp4': ('run', 'train'),
    'run/b.mp4': ('run', 'train'),
  }
  assert listing.excluded == [('run/broken.mp4', 'file does not exist')]


def test_a_name_that_is_no_text(tmp_path):
  listed.touch(tmp_path, 'run/a.mp4')
  with open(os.fsencode(tmp_path / 'run') + b'/\xff.mp4', 'wb'):
    pass
  listing = folder.scan(tmp_path, holdout=0)
  assert sorted(listed.table(listing)) == ['run/a.mp4']
  assert listing.excluded == [
    ('run/\\udcff.mp4', 'has a name that is not UTF-8')
  ]
  os.mkdir(os.fsencode(tmp_path) + b'/\xfe')
  with open(os.fsencode(tmp_path) + b'/\xfe/b.mp4', 'wb'):
    pass
  assert len(folder.scan(tmp_path, holdout=0).excluded) == 2


def test_folders_that_cannot_be_used(tmp_path):
  listed.fails('', 'data.source is empty')
  listed.fails(tmp_path / 'none', "data.source is '.*none', but no such")
  listed.fails(tmp_path, 'holds no usable video with a label; a folder has')
  listed.touch(tmp_path, 'a.mp4', 'b.mp4')
  listed.fails(tmp_path, 'a label: a.mp4 has no label; b.mp4 has no label; a')
  listed.touch(tmp_path, 'run/a.mp4')
  listed.touch(tmp_path / '..' / 'only', 'test/run/a.mp4')
  listed.fails(tmp_path / '..' / 'only', 'no labelled training video')
  listed.fails(
    tmp_path, r'data.holdout is 1; it must be in \[0, 1\)', holdout=1
  )
  (tmp_path / 'jump').mkdir()
  listed.fails(
    tmp_path, "class folder '.*jump' holds no video; add files ending"
  )
  listed.touch(tmp_path, 'jump/a.txt')
  listed.fails(tmp_path, "class folder '.*jump' holds no video")


def test_a_folder_without_permission(tmp_path, monkeypatch):
  listed.touch(tmp_path, 'run/a.mp4')
  list_folder = os.scandir

  def scandir(path):
    if str(path).endswith('run'):
      raise PermissionError(13, 'Permission denied', path)
    return list_folder(path)

  monkeypatch.setattr(os, 'scandir', scandir)
  listed.fails(tmp_path, "'.*run' cannot be read: Permission denied")


@pytest.mark.parametrize(
  'name, problem',
  [
    (' ', 'is blank'),
    ('run ', 'has blanks around it'),
    ('r\nn', 'holds a line break or another control character'),
  ],
)
@pytest.mark.parametrize('split', ['', 'train/'])
def test_a_class_folder_is_called_by_a_plain_line(
  tmp_path, name, problem, split
):
  listed.touch(tmp_path, f'{split}jump/a.mp4', f'{split}{name}/b.mp4')
  path = str(tmp_path / split / name)
  message = f'The class folder {path!r} has a name that {problem}; rename it.'
  listed.fails(tmp_path, re.escape(message))


def test_a_name_in_the_labels_file_is_a_plain_line(tmp_path):
  listed.touch(tmp_path, 'videos/run/a.mp4')
  labels = tmp_path / 'labels.txt'
  labels.write_text('run\n  jump \nto\tswim\n')
  message = "names the class 'to\\tswim'; a name that holds a line break"
  listed.fails(tmp_path / 'videos', re.escape(message), labels_file=str(labels))


def test_class_folders_of_integers_are_ordered_as_numbers(tmp_path):
  listed.touch(tmp_path, *(f'{i}/a.mp4' for i in range(12)))
  listing = folder.scan(tmp_path, holdout=0)
  assert listing.labels == list(map(str, range(12)))


def test_reading_is_linear_in_labels_and_clips():
  class Counted(list):
    passes = 0

    def __iter__(self):
      self.passes += 1
      return super().__iter__()

  items = Counted(
    listings.Item(pathlib.Path(f'{i}.mp4'), f'{i}.mp4', f'class {i}', split)
    for i in range(50)
    for split in ('train', 'val')
  )
  labels = [f'class {i}' for i in range(51)]
  assert list(listings.empty_classes(items, labels)) == [
    "class 'class 50' has no video in the split 'train'",
    "class 'class 50' has no video in the split 'val'",
  ]
  assert items.passes < 5
