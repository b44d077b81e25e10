"""Parts of long videos, as rows of a list."""

import json
import pathlib

import pytest

from support import helpers
from tsm_jax import errors
from tsm_jax.data.sources import listings, lists, segments


def rows(tmp_path, text):
  path = tmp_path / 'l.csv'
  path.write_text(text)
  return lists.read(path)


def test_a_row_may_be_a_part_in_seconds_or_in_frames(tmp_path):
  items = rows(
    tmp_path,
    'path,label,Start,end,start_frame,end_frame\n'
    'a.mp4,x,12.5,14,,\n'
    'a.mp4,x,,3,,\n'
    'a.mp4,x,62.125,,,\n'
    'a.mp4,x,,,120,240\n'
    'a.mp4,x,,,9.0,\n'
    'a.mp4,x,0,,,\n'
    'b.mp4,x,,,,\n',
  )
  assert [item.segment for item in items] == [
    segments.Segment(12.5, 14.0),
    segments.Segment(0, 3.0),
    segments.Segment(62.125),
    segments.Segment(120, 240, 'frames'),
    segments.Segment(9, None, 'frames'),
    None,
    None,
  ]
  assert [item.video_id for item in items] == [
    'a.mp4@12.5-14',
    'a.mp4@0-3',
    'a.mp4@62.125-',
    'a.mp4@120-240f',
    'a.mp4@9-f',
    'a.mp4',
    'b.mp4',
  ]
  assert {segments.video(item) for item in items} == {'a.mp4', 'b.mp4'}


def test_json_lists_have_numbers_or_text(tmp_path):
  path = tmp_path / 'l.json'
  row = {'path': 'a.mp4', 'label': 'x'}
  path.write_text(
    json.dumps(
      [
        {**row, 'start': 1, 'end': 2.5},
        {**row, 'start': '1', 'end': None},
        {**row, 'start_frame': 3, 'end_frame': 5},
      ]
    )
  )
  assert [item.segment for item in lists.read(path)] == [
    segments.Segment(1.0, 2.5),
    segments.Segment(1.0),
    segments.Segment(3, 5, 'frames'),
  ]


@pytest.mark.parametrize(
  'columns, row, message',
  [
    ('start,end', '14,12.5', 'Row 1 .*start 14 .*end 12.5; .*end after'),
    ('start,end', '2,2', 'Row 1 .*end after it starts'),
    ('end', '0', 'Row 1 .*end after it starts'),
    ('start_frame,end_frame', '9,9', 'start_frame 9 and the end_frame 9'),
    ('start,end', '1:02,1:04', "start '1:02'; it must be seconds"),
    ('start,end', '-1,2', "start '-1'; it must be seconds, 0 or more"),
    ('start,end', 'nan,2', "start 'nan'"),
    ('start,end', '1,1e999', "end '1e999'"),
    ('start_frame', '1.5', "start_frame '1.5'; it must be the number of"),
    ('start,end_frame', '1,9', "both 'start' .* and 'end_frame'"),
  ],
)
def test_parts_that_are_none(tmp_path, columns, row, message):
  with pytest.raises(errors.InputError, match=message):
    rows(tmp_path, f'path,label,{columns}\na.mp4,x,{row}\n')


@pytest.mark.parametrize('value', [True, [1], {'a': 1}])
def test_json_times_that_are_no_numbers(tmp_path, value):
  path = tmp_path / 'l.json'
  path.write_text(json.dumps([{'path': 'a', 'label': 'x', 'start': value}]))
  with pytest.raises(errors.InputError, match=r'Row 1 .* the start '):
    lists.read(path)


def test_frames_belong_to_one_of_two_parts_that_meet():
  """Also where a container rounds 37 / 30 = 1.2333 s to milliseconds."""
  one, other = segments.Segment(1, 1.2333), segments.Segment(1.2333, 2)
  for time, first in ((1.2, True), (1.233, False), (1.2334, False)):
    assert (one.has_begun(time) and not one.has_ended(time)) == first
    assert (other.has_begun(time) and not other.has_ended(time)) != first
  frames = segments.Segment(3, 5, 'frames')
  inside = [frames.has_begun(i) and not frames.has_ended(i) for i in range(7)]
  assert inside == [False, False, False, True, True, False, False]


def test_in_seconds(tmp_path):
  path = tmp_path / 'a.mp4'
  helpers.write_video(path, 30, fps=10)

  def item(label, *segment):
    part = segments.Segment(*segment) if segment else None
    return listings.Item(path, 'a', label, 'val', segment=part)

  items = [
    item('x', 0.5, 1.25),
    item('y', 10, 20, 'frames'),
    item('z', 2),
    item('all'),
  ]
  assert segments.in_seconds(items) == {
    path: [(0.5, 1.25, 'x'), (1, 2, 'y'), (2, 3, 'z'), (0, 3, 'all')]
  }
  images = helpers.write_frames(tmp_path / 'images', 3)
  with pytest.raises(errors.InputError, match="images' does not state a fr"):
    segments.in_seconds([items[1]._replace(path=images)])
  # No file is opened for parts that say all.
  gone = items[0]._replace(path=pathlib.Path('gone.mp4'))
  assert segments.in_seconds([gone]) == {gone.path: [(0.5, 1.25, 'x')]}


@pytest.mark.parametrize('name', segments.COLUMNS)
@pytest.mark.parametrize('value', [float('nan'), float('inf'), 10**400])
def test_numbers_of_json_that_are_no_times(tmp_path, name, value):
  path = tmp_path / 'l.json'
  path.write_text(json.dumps([{'path': 'a.mp4', 'label': 'x', name: value}]))
  with pytest.raises(errors.InputError, match=f'Row 1 .* {name} .* 0 or more'):
    lists.read(path)


def test_a_part_too_short_for_its_name(tmp_path):
  text = 'path,label,start,end\na.mp4,x,1.0000001,1.0000002\n'
  with pytest.raises(errors.InputError, match='must end after it starts'):
    rows(tmp_path, text)
