"""Background: clips between the parts of a video, none of which it touches."""

import collections
import itertools
import json

import pytest

from support import helpers, listed
from tsm_jax import errors
from tsm_jax.data.sources import folder, segments
from tsm_jax.data.sources.recordings import background

COLUMNS = ('path', 'label', 'split', 'start', 'end')


@pytest.fixture(scope='module')
def source(tmp_path_factory):
  """Twenty seconds of a video in each split, with parts."""
  root = tmp_path_factory.mktemp('films')
  for name in ('a', 'b', 'c'):
    helpers.write_video(root / f'{name}.mp4', 40, size=(16, 16), fps=2)
  rows = [
    ('a.mp4', 'run', 'train', 3, 5),
    ('a.mp4', 'jump', 'train', 9, 10),
    ('a.mp4', 'jump', 'train', 9.5, 11),  # overlaps
    ('a.mp4', '', 'train', 14, 17),  # not used, but something happens
    ('b.mp4', 'run', 'train', 2, 6),
    ('b.mp4', 'jump', 'train', 7, 18),
    ('c.mp4', 'run', 'val', 10, 12),
  ]
  return listed.write_csv(root / 'l.csv', rows, COLUMNS)


def made(listing, label='idle'):
  return [item for item in listing.items if item.label == label]


def overlaps(one, other):
  return one.start < other.end and other.start < one.end


@pytest.mark.parametrize('seed', range(20))
def test_background_touches_no_part_and_has_their_lengths(source, seed):
  plain = folder.scan(source)
  listing = background.add(plain, 'idle', seed)
  assert listing.labels == ['idle', 'jump', 'run']  # sorted among the others
  assert [i for i in listing.items if i.label != 'idle'] == plain.items
  found = made(listing)
  counts = collections.Counter((i.path.name, i.split) for i in found)
  # At most as many as there are parts, and as the median class has.
  assert counts['a.mp4', 'train'] + counts['b.mp4', 'train'] == 2
  assert counts['c.mp4', 'val'] == 1
  for item in found:
    assert item.video_id == f'{item.path.name}@{item.segment}'
    part = item.segment
    assert part.start >= 0 and part.end < 20
    for other in plain.listed:
      if other.path == item.path:
        assert not overlaps(
          other.segment,
          segments.Segment(part.start - 0.099, part.end + 0.099),
        )
    length = round(part.end - part.start, 6)
    lengths = {'a.mp4': (2, 1, 1.5), 'b.mp4': (4, 11), 'c.mp4': (2,)}
    assert length in lengths[item.path.name]


def test_background_is_the_same_for_the_same_seed(source):
  plain = folder.scan(source)
  one, same, other = (background.add(plain, 'idle', s) for s in (0, 0, 1))
  assert one.items == same.items
  assert one.items != other.items


def test_background_clips_do_not_overlap_each_other(tmp_path):
  path = films(
    tmp_path, [('run', 'train', i, i + 0.25) for i in range(2, 20, 2)]
  )
  found = made(background.add(folder.scan(path), 'idle'))
  assert len(found) == 9
  found.sort(key=lambda item: item.segment.start)
  for one, other in itertools.pairwise(found):
    assert one.segment.end + 0.099 < other.segment.start


def films(tmp_path, rows, columns=COLUMNS, name='a.mp4'):
  if not (tmp_path / 'a.mp4').exists():
    helpers.write_video(tmp_path / 'a.mp4', 40, size=(16, 16), fps=2)
  rows = [(name, *row) for row in rows]
  return listed.write_csv(tmp_path / 'l.csv', rows, columns)


def test_rows_of_the_label_count(tmp_path):
  """Two of each other class, and one of it is listed: one is added."""
  rows = [('run', 'train', i, i + 1) for i in (2, 5)]
  rows += [('jump', 'train', i, i + 1) for i in (8, 11)]
  path = films(tmp_path, [*rows, ('idle', 'train', 14, 17)])
  listing = background.add(folder.scan(path), 'idle')
  assert listing.labels == ['idle', 'jump', 'run']
  found = made(listing)
  assert len(found) == 2
  assert segments.Segment(14.0, 17.0) in [item.segment for item in found]
  assert not overlaps(*(item.segment for item in found))


def test_rows_of_the_label_need_not_be_in_training(source):
  text = source.read_text() + 'c.mp4,idle,val,15,17\n'
  path = source.with_name('more.csv')
  path.write_text(text)
  plain = folder.scan(path)
  assert [name for name, _ in plain.excluded] == ['a.mp4@14-17', 'c.mp4@15-17']
  listing = background.add(plain, 'idle')
  assert [name for name, _ in listing.excluded] == ['a.mp4@14-17']
  assert 'c.mp4@15-17' in [item.video_id for item in made(listing)]


@pytest.mark.parametrize('images', [False, True])
def test_background_in_frames(tmp_path, images):
  columns = ('path', 'label', 'split', 'start_frame', 'end_frame')
  rows = [('run', 'train', 10, 14), ('jump', 'train', 20, 26)]
  if images:
    helpers.write_frames(tmp_path / 'a', 40, size=(16, 16))
  path = films(tmp_path, rows, columns, 'a' if images else 'a.mp4')
  for seed in range(10):
    listing = background.add(folder.scan(path), 'idle', seed)
    (item,) = made(listing)
    start, end, unit = item.segment
    assert unit == 'frames' and end - start in (4, 6)
    frames = set(range(start - 1, end + 1))
    assert frames.isdisjoint({*range(10, 14), *range(20, 26)})
    assert start >= 0 and end < 40


def test_a_shorter_clip_where_a_longer_one_has_no_room(tmp_path):
  path = films(tmp_path, [('run', 'train', 0, 16.5), ('jump', 'train', 17, 18)])
  for seed in range(5):
    (item,) = made(background.add(folder.scan(path), 'idle', seed))
    assert (item.segment.start > 18, item.segment.end < 20) == (True, True)
    assert item.segment.end - item.segment.start == pytest.approx(1)


@pytest.mark.parametrize(
  'rows, label, message',
  [
    ([('run', 'train', '', '')], 'idle', 'no clip is a part of a video'),
    ([('run', 'train', 0, 19)], 'idle', 'there is no room for a clip'),
    ([('run', 'train', 1, '')], 'idle', 'there is no room for a clip'),
    ([('run', 'train', 1, 2)], ' ', "data.background is ' ', which is blank"),
  ],
)
def test_background_that_cannot_be(tmp_path, rows, label, message):
  listing = folder.scan(films(tmp_path, rows))
  with pytest.raises(errors.InputError, match=message):
    background.add(listing, label)


def test_background_needs_one_unit(tmp_path):
  path = tmp_path / 'l.json'
  films(tmp_path, [('x', 'train', 1, 2)])
  row = {'path': 'a.mp4', 'label': 'x', 'split': 'train'}
  rows = [
    {**row, 'start': 1, 'end': 2},
    {**row, 'start_frame': 10, 'end_frame': 12},
  ]
  path.write_text(json.dumps(rows))
  with pytest.raises(errors.InputError, match='in seconds and in frames'):
    background.add(folder.scan(path), 'idle')


def test_background_is_among_the_classes_of_a_file(tmp_path):
  path = films(tmp_path, [('run', 'train', 1, 2)])
  labels = tmp_path / 'labels.txt'
  labels.write_text('run\nidle\n')
  listing = background.add(
    folder.scan(path, str(labels)), 'idle', labels_file=str(labels)
  )
  assert listing.labels == ['run', 'idle'] and len(made(listing)) == 1
  with pytest.raises(errors.InputError, match='not among the classes of'):
    background.add(folder.scan(path, str(labels)), 'x', labels_file=str(labels))


def test_without_a_label_nothing_changes(source):
  listing = folder.scan(source)
  assert background.add(listing, '') is listing


def test_a_link_to_a_video_is_that_video(tmp_path):
  helpers.write_video(tmp_path / 'a.mp4', 40, size=(16, 16), fps=2)
  (tmp_path / 'b.mp4').symlink_to('a.mp4')
  rows = [('a.mp4', 'x', 'train', 1, 4), ('b.mp4', 'x', 'train', 4, 20)]
  path = listed.write_csv(tmp_path / 'l.csv', rows, COLUMNS)
  with pytest.raises(errors.InputError, match='there is no room for a clip'):
    background.add(folder.scan(path), 'idle')
