import json

import pytest

from support import listed
from tsm_jax.data.sources import folder

NEW = {'holdout_rule': 'stratified', 'holdout': 0.5}


def splits(listing):
  """The splits of each group."""
  found = {}
  for item in listing.items:
    found.setdefault(item.group, set()).add(item.split)
  return found


def persons(root):
  return listed.touch(
    root,
    *(
      f'{label}/person{person:02d}_{i}.mp4'
      for label in ('jump', 'run')
      for person in range(6)
      for i in range(3)
    ),
  )


@pytest.mark.parametrize('pattern', [r'(person\d+)_', r'person\d+', r'(\d\d)_'])
def test_a_pattern_names_the_groups_of_a_folder(tmp_path, pattern):
  root = persons(tmp_path)
  found = splits(folder.scan(root, group=pattern, **NEW))
  assert len(found) == 6 and all(len(some) == 1 for some in found.values())
  assert sorted(map(str, found.values())).count("{'val'}") == 3
  # Without it, persons are in both splits.
  items = folder.scan(root, **NEW).items
  sides = {(i.video_id.split('_')[0], i.split) for i in items}
  assert len(sides) > 12


def test_a_pattern_sees_a_path_as_the_list_or_the_folder_has_it(tmp_path):
  root = persons(tmp_path / 'person99')
  found = folder.scan(root, group=r'person(\d+)', **NEW).items
  assert {item.group for item in found} == {f'{i:02d}' for i in range(6)}
  rows = [(f'run/person{i:02d}_0.mp4', 'x') for i in range(6)]
  path = listed.write_csv(root / 'l.csv', rows)
  assert splits(folder.scan(path, group='^run/(.*)_', **NEW)).keys() == {
    f'person{i:02d}' for i in range(6)
  }


@pytest.mark.parametrize(
  'pattern, message',
  [
    (
      r'person(0[1-5])',
      r'--group is .*, which finds nothing in 6 of 36 paths, the first of '
      "which is 'jump/person00_0.mp4'; it must name the group of every clip",
    ),
    ('(', r"--group is '\(', which is no regular expression: missing \)"),
    ('(a)|.', '--group is .*, which finds nothing in 36 of 36 paths'),
  ],
)
def test_a_pattern_that_is_wrong(tmp_path, pattern, message):
  root = persons(tmp_path)
  listed.fails(root, message, group=pattern, called='--{}'.format, **NEW)


def test_a_column_names_the_groups_of_a_list(tmp_path):
  listed.touch(tmp_path, *(f'{i}.mp4' for i in range(12)))
  rows = [(f'{i}.mp4', 'xy'[i % 2], f'camera {i // 3}') for i in range(12)]
  path = listed.write_csv(tmp_path / 'l.csv', rows, ('path', 'label', 'group'))
  listing = folder.scan(path, **NEW)
  found = splits(listing)
  assert len(found) == 4 and all(len(some) == 1 for some in found.values())
  assert listing.notes == []
  # A pattern is used in the place of the column.
  assert splits(folder.scan(path, group='^.', **NEW)).keys() != found.keys()
  # The rule of earlier versions ignores it, as they did.
  old = {i.video_id: i.split for i in folder.scan(path).items}
  rows = [row[:2] for row in rows]
  path = listed.write_csv(tmp_path / 'without.csv', rows)
  assert old == {i.video_id: i.split for i in folder.scan(path).items}


def test_clips_without_a_group_are_on_their_own_and_noted(tmp_path):
  listed.touch(tmp_path, *(f'{i}.mp4' for i in range(6)))
  rows = [
    {'path': f'{i}.mp4', 'label': 'x', 'group': 7 if i < 4 else None}
    for i in range(6)
  ]
  (tmp_path / 'l.json').write_text(json.dumps(rows))
  listing = folder.scan(tmp_path / 'l.json', **NEW)
  assert listing.notes == [
    '2 of 6 clips have no group, as 4.mp4; each is one of its own'
  ]
  assert sum(item.split == 'val' for item in listing.items) == 2
  assert len(splits(listing)['7']) == 1
  rows[0]['group'] = 1.5
  (tmp_path / 'l.json').write_text(json.dumps(rows))
  listed.fails(tmp_path / 'l.json', 'Row 1 .* has the group 1.5; a group is')


def test_groups_in_several_given_splits_are_noted(tmp_path):
  listed.touch(tmp_path, 'train/run/p1_a.mp4', 'val/run/p1_b.mp4')
  listed.touch(tmp_path, 'train/run/p2_a.mp4', 'val/run/of_nobody.mp4')
  assert folder.scan(tmp_path).notes == []
  assert folder.scan(tmp_path, group=r'(p\d)_', **NEW).notes == [
    "the group 'p1' is in train and val: evaluation has seen it in training"
  ]


def test_parts_of_a_video_and_groups_are_both_kept_together(tmp_path):
  listed.touch(tmp_path, *(f'{i}.mp4' for i in range(8)))
  rows = [
    (f'{i}.mp4', 'xy'[part], f'p{(i + part) // 2}', part, part + 1)
    for i in range(8)
    for part in range(2)
  ]  # the parts of every second video are of two persons, who are chained
  path = listed.write_csv(
    tmp_path / 'l.csv', rows, ('path', 'label', 'group', 'start', 'end')
  )
  listed.fails(
    path, 'data.folds is 2; .* at most 1, the number of g', **NEW, folds=2
  )
  assert {i.split for i in folder.scan(path, **NEW).items} == {'train'}


def test_a_column_that_the_rule_of_earlier_versions_does_not_heed(tmp_path):
  listed.touch(tmp_path, *(f'{i}.mp4' for i in range(4)))
  rows = [
    {'path': f'{i}.mp4', 'label': 'a', 'group': f'p{i // 2}'} for i in range(4)
  ]
  (tmp_path / 'list.json').write_text(json.dumps(rows))
  old = folder.scan(tmp_path / 'list.json', holdout_rule='hash')
  assert [n for n in old.notes if "'group' does nothing" in n]
  assert not folder.scan(tmp_path / 'list.json', **NEW).notes
