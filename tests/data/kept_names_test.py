"""Names of datasets, which hold a hash of what decides their content.

The values were recorded before lists and folders were read more strictly: what
was read rightly then has the same name.
"""

import json
import pathlib

from support import listed, miniatures
from tsm_jax.data.sources import folder, published
from tsm_jax.data.store import builder


def name(listing):
  return builder.Plan(listing, 'src', pathlib.Path('data')).name()


def test_folders_of_classes(tmp_path):
  root = listed.touch(
    tmp_path / 'a',
    *(f'{c}/{i}.mp4' for c in ('run', 'a b', 'Ünï') for i in range(6)),
    *('run/notes.txt', 'run/.x.mp4', 'run/Thumbs.db', 'run/thumb.jpg'),
    *('run/deep/z.MKV', 'x.mp4'),
  )
  assert name(folder.scan(root)) == 'src-b8c6fabda5'


def test_folders_of_splits(tmp_path):
  root = listed.touch(
    tmp_path / 'b',
    *(
      f'{split}/{c}/{i}.mp4'
      for split in ('train', 'val', 'test')
      for c in ('run', 'jump')
      for i in range(3)
    ),
    *('extra/a/1.mp4', 'train/noclass.mp4', 'val/swim/1.mp4'),
  )
  assert name(folder.scan(root)) == 'src-bee48c8893'
  (tmp_path / 'labels.txt').write_text('run\njump\nfly\n')
  listing = folder.scan(root, str(tmp_path / 'labels.txt'))
  assert name(listing) == 'src-5d1c155ce2'


def test_lists(tmp_path):
  listed.touch(tmp_path, *(f'{i}.mp4' for i in range(8)))
  labels, splits = (
    ['Größe, "x"', 'run', ' a '],
    ['train', 'val', 'Validation', ''],
  )
  rows = [(f'{i}.mp4', labels[i % 3], splits[i % 4]) for i in range(9)]
  source = listed.write_csv(
    tmp_path / 'l.csv', rows, ('path', 'label', 'split')
  )
  assert name(folder.scan(source)) == 'src-c96a1dd708'
  rows = [('xy'[i % 2], f'{i}.mp4') for i in range(8)]
  source = listed.write_csv(tmp_path / 'l.csv', rows, ('label', 'path'))
  assert name(folder.scan(source)) == 'src-dde4d7f4da'
  rows = [{'path': f'{i}.mp4', 'label': i % 2 or None} for i in range(8)]
  (tmp_path / 'l.json').write_text(json.dumps(rows))
  assert name(folder.scan(tmp_path / 'l.json')) == 'src-822f255723'


def test_flow(tmp_path):
  listed.touch(
    tmp_path,
    *(
      f'{c}/{i}/flow_{axis}_{k}.jpg'
      for c in ('run', 'jump')
      for i in range(3)
      for axis in 'xy'
      for k in range(3)
    ),
  )
  listing = folder.scan(tmp_path, modality='flow')
  assert name(listing) == 'src-c0dfc9a95e'


def test_published(tmp_path):
  columns = ('label', 'youtube_id', 'time_start', 'time_end', 'split')
  for split in ('train', 'val'):
    rows = [
      (f'{"abc"[i % 3]} x', f'{split}-id_{i}', i, i + 10, split)
      for i in range(5)
    ]
    miniatures.write_csv(tmp_path / f'{split}.csv', columns, *rows)
    names = (f'{split}-id_{i}_{i:06d}_{i + 10:06d}.mp4' for i in range(4))
    listed.touch(tmp_path / split, *names)
  assert name(published.read('kinetics400', tmp_path)) == 'src-a250841ff3'
  labels = {'Putting x': '1', 'A b': '0'}
  miniatures.write_json(tmp_path / 'labels' / 'labels.json', labels)
  for split, ids in (('train', (1, 2, 3)), ('validation', (4, 5))):
    rows = [
      {'id': str(i), 'template': ('Putting [x]', 'A b')[i % 2]} for i in ids
    ]
    miniatures.write_json(tmp_path / 'labels' / f'{split}.json', rows)
  files = tmp_path / '20bn-something-something-v2'
  listed.touch(files, *(f'{i}.webm' for i in (1, 2, 4, 5)))
  assert name(published.read('ssv2', tmp_path)) == 'src-079a5e8872'
