"""What must hold of the parts of a video: splits, overlaps, hold-out."""

import json

import numpy as np
import pytest

from support import helpers, listed
from tsm_jax import errors
from tsm_jax.data.sources import folder, lists, segments

COLUMNS = ('path', 'label', 'split', 'start', 'end')


def write(tmp_path, *rows, columns=COLUMNS, name='l.csv'):
  listed.touch(tmp_path, *{row[0] for row in rows})
  return listed.write_csv(tmp_path / name, rows, columns)


def test_a_video_is_of_one_split(tmp_path):
  path = write(
    tmp_path,
    ('a.mp4', 'x', 'train', 1, 2),
    ('b.mp4', 'x', 'val', 1, 2),
    ('a.mp4', 'y', '', 3, 4),
    ('a.mp4', 'y', 'val', 5, 6),
  )
  listed.fails(
    path,
    "Rows 1 and 4 of .* the video 'a.mp4', but of the splits 'train' and 'val'",
  )


def test_a_video_is_of_one_split_also_where_each_has_a_list(tmp_path):
  columns = ('path', 'label', 'start', 'end')
  for split, start in (('train', 1), ('val', 5)):
    rows = [('a.mp4', 'x', start, start + 1)]
    write(tmp_path, *rows, columns=columns, name=f'{split}.csv')
  listed.fails(tmp_path, "'a.mp4@1-2' is in .* 'train', and 'a.mp4@5-6'")


@pytest.fixture(params=['absolute', 'link', 'in a linked folder', 'accents'])
def spellings(tmp_path, request):
  """Two paths of one video."""
  listed.touch(tmp_path, 'in/\u00e9.mp4')
  (tmp_path / 'link.mp4').symlink_to('in/\u00e9.mp4')
  (tmp_path / 'linked').symlink_to('in')
  other = {
    'absolute': str(tmp_path / 'in/\u00e9.mp4'),
    'link': 'link.mp4',
    'in a linked folder': 'linked/\u00e9.mp4',
    'accents': 'in/e\u0301.mp4',
  }
  return 'in/\u00e9.mp4', other[request.param]


def test_a_video_is_of_one_split_however_it_is_spelled(tmp_path, spellings):
  one, other = spellings
  rows = [(one, 'x', 'train', 1, 2), (other, 'x', 'val', 3, 4)]
  path = listed.write_csv(tmp_path / 'l.csv', rows, COLUMNS)
  listed.fails(path, "Rows 1 and 2 of .* splits 'train' and 'val'")
  columns = ('path', 'label', 'start', 'end')
  listed.touch(tmp_path, 'b.mp4')
  rows = [(n, 'x', i, i + 1) for i, n in enumerate((one, other, 'b.mp4'))]
  path = listed.write_csv(tmp_path / 'l.csv', rows, columns)
  for seed in range(4):
    items = folder.scan(path, holdout=0.5, holdout_seed=seed).items
    splits = {item.segment.start: item.split for item in items}
    assert splits[0] == splits[1] != splits[2]


def test_a_name_that_no_file_can_have_is_left_out(tmp_path):
  listed.touch(tmp_path, 'b.mp4')
  rows = [
    {'path': p, 'label': 'x', 'start': 1} for p in ('\ud800.mp4', 'b.mp4')
  ]
  (tmp_path / 'l.json').write_text(json.dumps(rows))
  excluded = folder.scan(tmp_path / 'l.json').excluded
  assert excluded == [('\\ud800.mp4@1-', 'has a name that is not UTF-8')]


def test_the_same_part_under_two_labels_is_not_noted_as_used_twice(tmp_path):
  path = write(
    tmp_path, ('a.mp4', 'x', 'train', 1, 3), ('a.mp4', 'y', 'train', 1, 3)
  )
  listing = folder.scan(path)
  assert listing.notes == [] and len(listing.items) == 1
  assert 'is listed more than once' in listing.excluded[0][1]


def test_overlapping_parts_are_used_and_noted(tmp_path):
  path = write(
    tmp_path,
    ('a.mp4', 'x', 'train', 1, 3),
    ('a.mp4', 'x', 'train', 2, 4),
    ('a.mp4', 'y', 'train', 4, 6),
    ('a.mp4', 'x', 'train', 5, 7),
    ('b.mp4', 'y', 'val', 5, 7),
    ('b.mp4', 'x', 'val', 6, 7),
  )
  listing = folder.scan(path)
  assert len(listing.items) == 6 and listing.excluded == []
  (note,) = listing.notes
  assert note.startswith('2 rows of l.csv overlap rows of other labels')
  assert note.endswith("rows 3 ('y') and 4 ('x')")


def test_the_same_part_counts_once(tmp_path):
  path = write(
    tmp_path,
    ('a.mp4', 'x', 'train', 1, 3),
    ('a.mp4', 'y', 'train', '1.0', 3.0),
    ('a.mp4', 'x', 'train', '', ''),
  )
  listing = folder.scan(path)
  assert [item.video_id for item in listing.items] == ['a.mp4', 'a.mp4@1-3']
  assert listing.excluded == [
    ('a.mp4@1-3', 'is listed more than once; the first row counts')
  ]


def test_folders_of_images_have_no_seconds(tmp_path):
  helpers.write_frames(tmp_path / 'a', 3)
  rows = [('a', 'x', 'train', '', ''), ('a', 'x', 'train', 1, 2)]
  path = listed.write_csv(tmp_path / 'l.csv', rows, COLUMNS)
  with pytest.raises(errors.InputError, match=r"Row 2 .* 'a', a folder of im"):
    lists.read(path)
  columns = ('path', 'label', 'start_frame', 'end_frame')
  listed.write_csv(path, [('a', 'x', 0, 2)], columns)
  assert folder.scan(path).items[0].segment == segments.Segment(0, 2, 'frames')


def test_parts_are_in_the_order_of_their_times(tmp_path):
  starts = (9.5, 10, 100, 2)
  rows = [('a.mp4', 'x', 'train', start, start + 1) for start in starts]
  path = write(tmp_path, *rows, ('a.mp4-b.mp4', 'x', 'train', '', ''))
  assert [item.video_id for item in folder.scan(path).items] == [
    'a.mp4@2-3',
    'a.mp4@9.5-10.5',
    'a.mp4@10-11',
    'a.mp4@100-101',
    'a.mp4-b.mp4',
  ]


def recordings(tmp_path, count, seed):
  """A list of videos with parts of some of five classes each."""
  rng = np.random.default_rng(seed)
  rows = [
    (f'{number:03d}.mp4', f'class {label}', '', start, start + 1)
    for number in range(count)
    for start, label in enumerate(rng.choice(5, rng.integers(1, 5)))
  ]
  return write(tmp_path, *rows)


@pytest.mark.parametrize('seed', range(3))
def test_videos_are_held_out_as_a_whole(tmp_path, seed):
  listing = folder.scan(recordings(tmp_path, 60, seed), seed=seed)
  splits = {}
  for item in listing.items:
    splits.setdefault(segments.video(item), set()).add(item.split)
  assert all(len(found) == 1 for found in splits.values())
  held_out = [video for video, found in splits.items() if found == {'val'}]
  assert 5 <= len(held_out) <= 20
  # Every class is in both.
  assert len({(i.label, i.split) for i in listing.items}) == 10


def test_more_videos_do_not_move_the_others(tmp_path):
  few = folder.scan(recordings(tmp_path, 60, 0))
  many = folder.scan(recordings(tmp_path, 90, 0))
  splits = {item.video_id: item.split for item in many.items}
  assert all(splits[item.video_id] == item.split for item in few.items)


@pytest.mark.parametrize('seed', range(8))
def test_training_has_every_class_of_a_few_videos(tmp_path, seed):
  path = write(
    tmp_path,
    ('a.mp4', 'x', '', 1, 2),
    ('b.mp4', 'x', '', 1, 2),
    ('c.mp4', 'y', '', 1, 2),
    ('c.mp4', 'x', '', 3, 4),
  )
  listing = folder.scan(path, holdout=0.5, holdout_seed=seed)
  found = {(item.label, item.split) for item in listing.items}
  assert found == {('x', 'train'), ('x', 'val'), ('y', 'train')}
