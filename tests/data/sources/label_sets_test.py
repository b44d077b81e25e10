"""Lists of clips of several labels, and the records that they become."""

import json
import pathlib

import numpy as np
import pytest

from support import helpers, listed
from tsm_jax import errors
from tsm_jax.data.sources import folder, label_sets, listings
from tsm_jax.data.sources.splitting import hold_out
from tsm_jax.data.store import builder, dataset

ROWS = [('0.mp4', 'run|wave'), ('1.mp4', ' wave | run'), ('2.mp4', 'jump')]


def name(listing):
  return builder.Plan(listing, 'src', pathlib.Path('data')).name()


def as_csv(root, rows=ROWS, split='train'):
  listed.touch(root, *(path for path, _ in rows))
  rows = [(*row, split) for row in rows]
  return listed.write_csv(root / 'a.csv', rows, ('path', 'label', 'split'))


def test_labels_apart_in_any_order(tmp_path):
  listing = folder.scan(as_csv(tmp_path), multi_label=True)
  assert listing.labels == ['jump', 'run', 'wave']
  assert [i.labels for i in listing.items] == [
    ('run', 'wave'),
    ('run', 'wave'),
    ('jump',),
  ]
  assert listing.multi_label
  assert not listing.notes


def test_json_has_arrays_or_the_same_texts(tmp_path):
  source = as_csv(tmp_path)
  rows = [
    {'path': '0.mp4', 'label': ['wave', 'run'], 'split': 'train'},
    {'path': '1.mp4', 'label': 'run|wave', 'split': 'train'},
    {'path': '2.mp4', 'label': ['jump'], 'split': 'train'},
  ]
  path = tmp_path / 'a.json'
  path.write_text(json.dumps(rows))
  one, other = (folder.scan(p, multi_label=True) for p in (source, path))
  assert one.items == other.items
  listed.fails(path, r"'0.mp4' has several labels, run, wave; set .*=True")


def test_without_the_field_it_is_one_class_as_before(tmp_path):
  listing = folder.scan(as_csv(tmp_path, [*ROWS[:1], *ROWS[2:]]))
  assert listing.labels == ['jump', 'run|wave']
  assert [i.labels for i in listing.items] == [(), ()]
  assert name(listing) == 'src-f03784cf72'
  (note,) = listing.notes
  assert "'run|wave' is one class" in note
  assert 'data.multi_label=True' in note


@pytest.mark.parametrize(
  ('rows', 'message'),
  [
    (
      [('0.mp4', 'run|')],
      r"'0.mp4' has the labels 'run\|', of which one is em",
    ),
    ([('0.mp4', 'a||b')], 'one is empty'),
  ],
)
def test_an_empty_label_among_several_is_refused(tmp_path, rows, message):
  listed.fails(as_csv(tmp_path, rows), message, multi_label=True)


@pytest.mark.parametrize('labels', [[], ['a|b'], ['', 'b'], [1.5], [['a']]])
def test_wrong_arrays_are_refused(tmp_path, labels):
  path = listed.touch(tmp_path, '0.mp4') / 'a.json'
  path.write_text(json.dumps([{'path': '0.mp4', 'label': labels}]))
  listed.fails(path, 'Row 1 of .* has the label', multi_label=True)


def test_a_clip_without_labels_is_excluded_as_ever(tmp_path):
  listing = folder.scan(
    as_csv(tmp_path, [*ROWS, ('3.mp4', '')]), multi_label=True
  )
  assert listing.excluded == [('3.mp4', listings.NO_LABEL)]


def test_classes_of_a_file(tmp_path):
  source, labels = as_csv(tmp_path), tmp_path / 'labels.txt'
  labels.write_text('wave\nrun\n')
  listing = folder.scan(source, labels, multi_label=True)
  assert listing.excluded == [
    ('2.mp4', "has the label 'jump', which is not in the label map")
  ]
  labels.write_text('wave\nrun|wave\n')
  listed.fails(source, 'rename the class', labels_file=labels, multi_label=True)


def test_each_label_gets_its_share_of_the_hold_out():
  """Sets of labels are all different, so that sets could not be halved."""
  labels = 'abcdef'
  sets = [
    [name for bit, name in enumerate(labels) if number >> bit & 1]
    for number in range(1, 64)
  ]
  items = [
    listings.Item(pathlib.Path(f'{i}'), f'{i}', label_sets.joined(s), '')
    for i, s in enumerate(sets)
  ]
  items = hold_out.hold_out(label_sets.apart(items), 0.25, 0)
  for label in labels:  # each has 32 clips
    held = sum(label in i.labels for i in items if i.split == 'val')
    assert held == 8


def test_what_is_stored_is_read_as_a_vector(tmp_path):
  rows = [('0.mp4', 'run|wave'), ('1.mp4', 'jump'), ('2.mp4', 'wave')]
  rows = [(*r, s) for r, s in zip(rows, ('train', 'train', 'val'))]
  path = listed.write_csv(
    tmp_path / 'list.csv', rows, ('path', 'label', 'split')
  )
  for number in range(3):
    helpers.write_video(tmp_path / f'{number}.mp4', 2, seed=number)
  built, lines = helpers.build(path, tmp_path / 'data', multi_label=True)
  assert any('3 classes, several of a clip.' in line for line in lines)
  found = dataset.open(built)
  assert found.multi_label
  assert found.options['multi_label']
  train = found.split('train')
  assert train.label_shape == (3,)
  vectors = {r['video_id'].decode(): r['label'] for r in train}
  assert vectors['0.mp4'].dtype == np.int32
  assert vectors['0.mp4'].tolist() == [0, 1, 1]
  assert vectors['1.mp4'].tolist() == [1, 0, 0]
  # The dataset itself says that its clips have several labels.
  again, _ = helpers.build(built, tmp_path / 'data')
  assert again == built
  one, _ = helpers.build(path, tmp_path / 'data', max_excluded=0.5)
  assert one != built
  assert 'multi_label' not in dataset.open(one).report
  assert np.ndim(dataset.open(one).split('train')[0]['label']) == 0
  with pytest.raises(errors.InputError, match='was built with one label per'):
    helpers.build(one, tmp_path / 'data', multi_label=True)
