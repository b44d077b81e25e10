import shutil

import pytest

from support import helpers, miniatures
from tsm_jax import errors
from tsm_jax.data.sources import published
from tsm_jax.data.store import build_report, dataset


@pytest.mark.parametrize('frames', ['.', 'frames'])
def test_frame_lists(tmp_path, frames):
  miniatures.write_lines(
    tmp_path / 'category.txt', 'Zooming', 'Bending a thing'
  )
  miniatures.write_lines(
    tmp_path / 'train_videofolder.txt', 'a b 4 1', 'c 5 0', 'd 30 0'
  )
  miniatures.write_lines(tmp_path / 'val_videofolder.txt', 'e 4 0', 'f 6 1')
  miniatures.write_lines(tmp_path / 'train_videofolder_flow.txt', '000001 8 1')
  template = 'img_{:05d}.jpg'
  for name, count in (('a b', 4), ('c', 5), ('d', 29), ('e', 6), ('f', 3)):
    helpers.write_frames(tmp_path / frames / name, count, template)
  listing = published.read('frame_lists', tmp_path)
  assert listing.labels == ['Zooming', 'Bending a thing']
  path, found = miniatures.build(listing, tmp_path, max_excluded=0.2)
  assert {name: record['label'] for name, record in found.items()} == {
    'a b': 1,
    'c': 0,
    'd': 0,
    'e': 0,
  }
  report = dataset.open(path).report
  assert report['damaged'] == [['d', 'has 29 frames, its list 30']]
  assert report['excluded'] == [['f', 'has 3 frames, its list 6']]
  # The official code sees no more than the list knows of.
  record = found['e']
  assert record['num_frames'] == 4
  assert list(record['frames']) == [
    (tmp_path / frames / 'e' / template.format(i)).read_bytes()
    for i in range(1, 5)
  ]
  reason = 'has 6 frames, its list 4: the first 4 are used'
  assert report['cut'] == [['e', reason]]
  assert f'  cut: e: {reason}' in list(build_report.describe(report))


@pytest.mark.parametrize(
  ('name', 'files'),
  [('flow_{}_{:05d}.jpg', 1), ('000001-{}_{:05d}.jpg', 2)],
)
def test_frame_lists_of_flow(tmp_path, name, files):
  # Those of Something-Something V1 count the files of x and of y.
  miniatures.write_lines(
    tmp_path / 'category.txt', 'Zooming', 'Bending a thing'
  )
  miniatures.write_lines(tmp_path / 'train_videofolder.txt', '000001 9 0')
  for kind, clip in (('train', '1'), ('val', '2')):
    count = 6 * files
    miniatures.write_lines(
      tmp_path / f'{kind}_videofolder_flow.txt', f'{clip} {count} 1'
    )
    helpers.write_flow(tmp_path / 'flow' / clip.zfill(6), 6, name)
  listing = published.read('frame_lists', tmp_path, modality='flow')
  assert [item.num_frames for item in listing.items] == [6, 6]
  path, found = miniatures.build(listing, tmp_path)
  assert found['1']['label'] == 1
  assert found['2']['num_frames'] == 6
  assert len(found['2']['frames']) == 12
  report = dataset.open(path).report
  assert report['modality'] == 'flow' and not report['damaged']
  (tmp_path / 'train_videofolder_flow.txt').unlink()
  with pytest.raises(errors.InputError, match='such as train_videofolder_flow'):
    published.read('frame_lists', tmp_path, modality='flow')


def test_frame_lists_of_one_split_with_numbered_classes(tmp_path):
  miniatures.write_lines(tmp_path / 'labels' / 'classInd.txt', '1 B', '2 A')
  for split in (1, 2):
    for kind in ('train', 'val'):
      miniatures.write_lines(
        tmp_path / 'file_list' / f'ucf101_rgb_{kind}_split_{split}.txt',
        f'v_{kind}_{split} 3 1',
      )
      helpers.write_frames(tmp_path / 'jpg' / f'v_{kind}_{split}', 3)
  listing = published.read('frame_lists', tmp_path, 2)
  assert listing.labels == ['B', 'A']
  assert miniatures.table(listing) == {
    'v_train_2': ('A', 'train'),
    'v_val_2': ('A', 'val'),
  }
  miniatures.fails(
    'must hold one train list .*found: none', 'frame_lists', tmp_path, 3
  )
  path = tmp_path / 'file_list' / 'ucf101_rgb_val_split_1.txt'
  miniatures.write_lines(path, 'v 3 2')
  miniatures.fails("line 'v 3 2'; .* label below 2", 'frame_lists', tmp_path, 1)


@pytest.mark.parametrize('place', ['img', '.', 'frames/v1/img'])
def test_frame_lists_whose_paths_start_elsewhere(tmp_path, place):
  rows = ['something/v1/img/7 4 1', 'something/v1/img/8 4 0']
  miniatures.write_lines(tmp_path / 'category.txt', 'Zooming', 'Bending')
  miniatures.write_lines(tmp_path / 'train_videofolder.txt', *rows)
  for name in ('7', '8'):
    helpers.write_frames(tmp_path / place / name, 4, seed=int(name))
  listing = published.read('frame_lists', tmp_path)
  assert {i.video_id: i.label for i in listing.items} == {
    'something/v1/img/7': 'Bending',
    'something/v1/img/8': 'Zooming',
  }
  assert [i.path for i in listing.items] == [
    tmp_path / place / name for name in ('7', '8')
  ]
  assert 'found without their start' in listing.notes[0]
  # Not by guessing where some are missing.
  shutil.rmtree(tmp_path / place / '8')
  miniatures.fails('no labelled video of frame_lists', 'frame_lists', tmp_path)


def test_frame_lists_without_names_of_classes(tmp_path):
  miniatures.write_lines(
    tmp_path / 'train_videofolder.txt', 'a 4 2', 'b 4 0', 'c 4 1'
  )
  for seed, name in enumerate('abc'):
    helpers.write_frames(tmp_path / name, 4, 'img_{:05d}.jpg', seed=seed)
  listing = published.read('frame_lists', tmp_path)
  assert listing.labels == ['0', '1', '2']
  assert [i.label for i in listing.items] == ['2', '0', '1']
  assert 'there is no category.txt: its classes are numbers' in listing.notes


@pytest.mark.parametrize('first', [0, 1])
def test_numbered_classes_are_ordered_by_their_numbers(tmp_path, first):
  numbers = sorted(map(str, range(first, 12 + first)))
  assert numbers != list(map(str, range(first, 12 + first)))
  path = tmp_path / 'category.txt'
  miniatures.write_lines(path, *(f'{i} class{i}' for i in numbers))
  rows = [f'{i} 4 {i}' for i in range(12)]
  miniatures.write_lines(tmp_path / 'train_videofolder.txt', *rows)
  for i in range(12):
    (tmp_path / str(i)).mkdir()
  listing = published.read('frame_lists', tmp_path)
  assert {i.video_id: i.label for i in listing.items} == {
    str(i): f'class{i + first}' for i in range(12)
  }
  miniatures.write_lines(path, *(f'{i} class{i}' for i in (0, 1, 3)))
  miniatures.fails('does not number its classes', 'frame_lists', tmp_path)


def test_names_with_accents_apart(tmp_path):
  miniatures.write_lines(tmp_path / 'category.txt', 'Cafe\u0301', 'x')
  miniatures.write_lines(tmp_path / 'train_videofolder.txt', 'e\u0301 4 0')
  (tmp_path / 'frames' / '\u00e9').mkdir(parents=True)
  listing = published.read('frame_lists', tmp_path)
  assert listing.labels == ['Caf\u00e9', 'x']
  assert [i.path.name for i in listing.items] == ['\u00e9']
  miniatures.write_lines(tmp_path / 'category.txt', 'Cafe\u0301', 'Caf\u00e9')
  miniatures.fails("'Caf\u00e9' more than once", 'frame_lists', tmp_path)
