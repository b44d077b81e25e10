"""Miniatures of the official distributions, in their layouts and names."""

import csv
import json

import pytest

from support import helpers
from tsm_jax import errors
from tsm_jax.data.sources import published
from tsm_jax.data.store import builder, dataset


def write_lines(path, *lines, encoding='utf-8'):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(''.join(f'{line}\n' for line in lines), encoding=encoding)


def write_json(path, content):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(json.dumps(content, ensure_ascii=False), encoding='utf-8')


def write_csv(path, columns, *rows):
  path.parent.mkdir(parents=True, exist_ok=True)
  with open(path, 'w', encoding='utf-8', newline='') as file:
    csv.writer(file).writerows([columns, *rows])


def touch(*paths):
  """Videos that the test does not decode."""
  for path in paths:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b'x')


def table(listing):
  return {i.video_id: (i.label, i.split) for i in listing.items}


def fails(message, *args):
  with pytest.raises(errors.InputError, match=message) as caught:
    published.read(*args)
  assert '\n' not in str(caught.value)


def build(listing, tmp_path, max_excluded=0.0):
  """Builds a listing; returns its path and `{video_id: record}`."""
  plan = builder.Plan(
    listing, tmp_path, tmp_path / 'data', max_excluded=max_excluded
  )
  path = builder.build(plan, lambda line: None)
  splits = {item.split for item in listing.items}
  found = [r for s in splits for r in dataset.open(path).split(s)]
  return path, {r['video_id'].decode(): r for r in found}


def write_20bn_frames(root, name, old_names, labels, unlabelled=True):
  """Something-Something V1 or Jester; the label of video i is i modulo n."""
  prefix = f'{name}-' if old_names else 'labels/'
  write_lines(root / f'{prefix}labels.csv', *labels)
  for kind, ids in (('train', range(1, 7)), ('validation', range(7, 10))):
    rows = [f'{i};{labels[i % len(labels)]}' for i in ids]
    write_lines(root / f'{prefix}{kind}.csv', *rows)
  write_lines(root / f'{prefix}test.csv', '10', '11;')
  if not unlabelled:
    answers = [f'{i};{labels[i % len(labels)]}' for i in (11, 10)]
    write_lines(root / 'labels' / 'test-answers.csv', *answers)
  for i in range(1, 12):
    helpers.write_frames(root / f'20bn-{name}' / str(i), 3, seed=i)


JESTER_LABELS = ('Swiping Left', 'Doing other things', 'No gesture')

UCF_CLASSES = ('Hammering', 'HammerThrow', 'HandstandPushups')


def write_ucf101(root):
  lists = root / 'ucfTrainTestlist'
  # As published: not sorted, and with the line ends of another system.
  assert sorted(UCF_CLASSES) != list(UCF_CLASSES)
  write_lines(
    lists / 'classInd.txt',
    *[f'{i} {c}\r' for i, c in enumerate(UCF_CLASSES, 1)],
  )
  for split in (1, 2, 3):
    train, test = [], []
    for number, name in enumerate(UCF_CLASSES, 1):
      stem = name.replace('stand', 'Stand')  # so are the files called
      for group in (1, 2, 3):
        video = f'{name}/v_{stem}_g{group:02d}_c01.avi'
        path = root / 'UCF-101' / video
        if not path.exists():
          helpers.write_video(path, 3, codec='mpeg4', options={'qscale': '3'})
        if group == split:
          test.append(video)
        else:
          train.append(f'{video} {number}')
    write_lines(lists / f'trainlist0{split}.txt', *train)
    write_lines(lists / f'testlist0{split}.txt', *test)
