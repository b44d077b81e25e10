import pathlib
import random

import pytest

from support import listed
from tsm_jax import errors
from tsm_jax.data import defaults
from tsm_jax.data.sources import folder, listings
from tsm_jax.data.sources.splitting import folds, groups


def clip(number, label, group=''):
  name = f'{number}.mp4'
  path = pathlib.Path('/nowhere') / name
  return listings.Item(path, name, label, '', group=group)


def counted(items, label=None):
  """The clips of each fold, of a class or of all."""
  found = [i.split for i in items if label in (None, i.label)]
  return [found.count(name) for name in sorted({i.split for i in items})]


@pytest.mark.parametrize('seed', range(20))
def test_folds_differ_by_one_clip_of_each_class_and_of_all(seed):
  rng = random.Random(seed)
  count, number = rng.choice([2, 3, 5, 10]), 0
  items = []
  for label in 'uvwxyz':
    for _ in range(rng.choice([1, 2, 7, 30])):
      number += 1
      items.append(clip(number, label))
  if len(items) < count:
    return
  found = folds.deal(items, count, seed)
  assert [i._replace(split='') for i in found] == items  # each in one fold
  assert set(counted(found)) <= {len(items) // count, -(-len(items) // count)}
  assert sum(counted(found)) == len(items) and len(counted(found)) == count
  for label in {item.label for item in items}:
    one = counted(found, label)
    assert max(one) - min(one) <= 1
  assert found == folds.deal(items, count, seed)


@pytest.mark.parametrize('seed', range(40))
def test_groups_are_whole_and_classes_are_in_training(seed):
  rng = random.Random(seed)
  items = [
    clip(i, rng.choice('xyz'), f'person {rng.randrange(9)}') for i in range(60)
  ]
  count = rng.choice([2, 3, 4])
  found = folds.deal(items, count, seed)
  sides, persons = {}, {}
  for item in found:
    sides.setdefault(item.group, set()).add(item.split)
    persons.setdefault(item.label, set()).add(item.group)
  assert all(len(some) == 1 for some in sides.values())
  for label in 'xyz':
    assert max(counted(found, label)) < sum(counted(found, label))
  # The largest person is of about a fifth; no fold is far from its share.
  assert max(counted(found)) <= 60 / count + 12


def test_persons_who_do_everything():
  items = [
    clip(f'{person}{label}{i}', label, person)
    for person in 'abcdef'
    for label in 'xyz'
    for i in range(3)
  ]
  found = folds.deal(items, 3, 0)
  assert counted(found) == [18, 18, 18]
  assert counted(found, 'y') == [6, 6, 6]


def test_a_class_is_in_several_folds_if_it_can_be():
  # By size alone, both of x would come to one fold: the last two are smaller.
  groups_ = [('a', 'y', 9), ('b', 'y', 6), ('c', 'x', 2), ('d', 'x', 1)]
  items = [
    clip(f'{group}{i}', label, group)
    for group, label, count in groups_
    for i in range(count)
  ]
  found = folds.deal(items, 2, 0)
  assert sorted(counted(found, 'x')) == [1, 2]
  assert sorted(counted(found, 'y')) == [6, 9]


def test_too_few_clips_or_groups():
  items = [clip(i, 'x', 'ab'[i % 2]) for i in range(5)]
  with pytest.raises(
    errors.InputError, match=r'is 3; .* at most 2, the number of groups'
  ):
    folds.deal(items, 3, 0)
  with pytest.raises(
    errors.InputError, match=r'--folds is 6; .* 5, the number of clips'
  ):
    folds.deal([i._replace(group='') for i in items], 6, 0, '--folds')


def test_all_folds_have_the_same_classes(tmp_path):
  listed.touch(tmp_path, *(f'run/{i}.mp4' for i in range(4)), 'jump/a.mp4')
  listing = folder.scan(tmp_path, holdout_rule='stratified', folds=2)
  assert listing.labels == ['jump', 'run'] and len(listing.items) == 5
  (fold,) = {i.split for i in listing.items if i.label == 'jump'}
  assert (
    f"class 'jump' is in {fold!r} only: where that is evaluated, nothing was "
    'trained on it'
  ) in listing.notes


def test_splits_that_are_given_contradict_folds(tmp_path):
  listed.touch(tmp_path, 'train/run/1.mp4', 'val/run/2.mp4')
  listed.fails(
    tmp_path,
    'data.folds is 2, but .* says itself which clips are for training; take',
    holdout_rule='stratified',
    folds=2,
  )


@pytest.mark.parametrize(
  'fields, message',
  [
    ({'folds': 1}, 'data.folds is 1; it must be at least 2, or 0 for none'),
    ({'folds': 5, 'fold': 5}, 'data.fold is 5; it must be from 0 to data.fo'),
    ({'fold': 1}, 'data.fold is 1; .* and data.folds is 0'),
    ({'folds': 5, 'fold': -1}, 'data.fold is -1; it must be'),
    ({'holdout_rule': 'random'}, "data.holdout_rule is 'random'; choose from"),
    (
      {'holdout_rule': 'hash', 'group': 'x'},
      "data.group is 'x', which needs d",
    ),
    ({'holdout': -0.1}, r'data.holdout is -0.1; it must be in \[0, 1\)'),
  ],
)
def test_fields_are_checked(fields, message):
  with pytest.raises(errors.InputError, match=message):
    defaults.Splits.from_fields({'holdout_rule': 'stratified', **fields})


def test_the_sides_of_a_fold():
  splits = {'fold_10': [], 'fold_1': [], 'fold_0': [], 'test': []}
  assert folds.names(splits) == ['fold_0', 'fold_1']
  found = {tuple(folds.sides(3, i)['val']) for i in range(3)}
  assert found == {('fold_0',), ('fold_1',), ('fold_2',)}


def test_a_unit_is_a_video_and_a_group(tmp_path):
  listed.touch(tmp_path, 'a.mp4', 'b.mp4', 'c.mp4', 'd.mp4', 'e.mp4')
  (tmp_path / 'link.mp4').symlink_to(tmp_path / 'a.mp4')
  rows = [
    ('a.mp4', 'x', ''),
    ('link.mp4', 'y', 'p'),  # the same video, with a group
    ('b.mp4', 'x', 'p'),
    ('c.mp4', 'x', '7'),
    ('d.mp4', 'x', ' 7 '),
    ('e.mp4', 'x', ''),
  ]
  path = listed.write_csv(tmp_path / 'l.csv', rows, ('path', 'label', 'Group'))
  items = folder.read(path)
  found = [(u.name, sorted(u.members)) for u in groups.units(items)]
  assert sorted(found) == [('7', [3, 4]), ('e.mp4', [5]), ('p', [0, 1, 2])]
