"""UCF101, HMDB51 and Diving48, as their authors distribute them.

Each has training and test videos only; its test list is the split 'val' here,
the split that training evaluates on.
"""

import re

from tsm_jax import errors
from tsm_jax.data.sources import listings
from tsm_jax.data.sources.published import annotations


def ucf101(root, split):
  """AVI files and the lists of `ucfTrainTestlist`; classes as in classInd."""
  path = annotations.find(root, 'ucfTrainTestlist/classInd.txt')
  numbered = [line.split(maxsplit=1) for line in annotations.read_lines(path)]
  for words in numbered:
    if len(words) != 2:
      raise errors.InputError(
        f'The list {str(path)!r} has the line {" ".join(words)!r}; it must be '
        'a number and the name of a class.'
      )
  if [n for n, *_ in numbered] != [str(i + 1) for i in range(len(numbered))]:
    raise errors.InputError(
      f'The list {str(path)!r} does not number its classes from 1 on.'
    )
  labels = [name for _, name in numbered]  # not sorted: Hammering, HammerThrow
  numbers = {label: number for number, label in numbered}
  spelling = {label.lower(): label for label in labels}
  items, notes = [], []
  for kind, name in (('train', 'train'), ('test', 'val')):
    path = annotations.find(root, f'ucfTrainTestlist/{kind}list{split:02d}.txt')
    for line in annotations.read_lines(path):
      video, _, number = line.partition(' ')
      stated = video.split('/')[0]
      label = spelling.get(stated.lower(), stated)
      expected = numbers.get(label, '')
      if number.strip() not in ('', expected):
        notes.append(
          f'{video} has the number {number}, which is not that of its class'
        )
      items.append(listings.Item(root / 'UCF-101' / video, video, label, name))
  return annotations.Annotations(items, labels, notes)


def hmdb51(root, split):
  """AVI files in folders of classes, and a list of every class and split."""
  folder = annotations.find(
    root,
    'testTrainMulti_7030_splits',
    'test_train_splits/testTrainMulti_7030_splits',
  )
  ending = f'_test_split{split}.txt'
  # Sorted without the ending: sword before sword_exercise.
  labels = listings.in_order(
    path.name.removesuffix(ending) for path in folder.glob(f'*{ending}')
  )
  if not labels:
    raise errors.InputError(f'{str(folder)!r} holds no file *{ending}.')
  items, unused = [], 0
  for label in labels:
    path = folder / f'{label}{ending}'
    for line in annotations.read_lines(path):
      video, _, use = line.rpartition(' ')
      if use not in ('0', '1', '2'):
        raise errors.InputError(
          f'The list {str(path)!r} has the line {line!r}; it must end in 0, 1 '
          'or 2.'
        )
      if use == '0':
        unused += 1
        continue
      name = f'{label}/{video.strip()}'
      place = 'train' if use == '1' else 'val'
      items.append(
        listings.Item(root / 'hmdb51_org' / name, name, label, place)
      )
  notes = [f'{unused} videos are in neither list of split {split}']
  return annotations.Annotations(items, labels, notes if unused else [])


def _dive(dive, path):
  """The name of a class of Diving48: text, or an array of its parts."""
  parts = [dive] if isinstance(dive, str) else dive
  if isinstance(parts, list) and all(isinstance(p, str) for p in parts):
    return ' '.join(parts)
  raise errors.InputError(
    f'The list {str(path)!r} has the class {dive!r}; it must be text or an '
    'array of texts.'
  )


def diving48(root, split):
  """MP4 files and the JSON lists of V2; classes as in the vocabulary."""
  del split
  rows, notes = {}, []
  for kind, name in (('train', 'train'), ('test', 'val')):
    path = annotations.find(root, f'Diving48_V2_{kind}.json')
    rows[name] = annotations.read_json(path, list)
    annotations.column(rows[name], 'vid_name', path)  # there are both
    numbers = annotations.column(rows[name], 'label', path)
    if any(not re.fullmatch(r'\d+', number) for number in numbers):
      raise errors.InputError(
        f'The list {str(path)!r} has a label that is not a number.'
      )
  vocabulary = annotations.find(root, 'Diving48_vocab.json', required=False)
  if vocabulary:
    dives = annotations.read_json(vocabulary, list)
    labels = [_dive(dive, vocabulary) for dive in dives]
  else:
    all_rows = [*rows['train'], *rows['val']]
    largest = max((int(row['label']) for row in all_rows), default=-1)
    labels = [str(number) for number in range(largest + 1)]
    notes.append('there is no Diving48_vocab.json: its classes are numbers')
  folder = annotations.find(root, 'rgb', 'videos')
  items = []
  for split_name, videos in rows.items():
    for row in videos:
      number, video = int(row['label']), str(row['vid_name'])
      # A number without a name stays one: that video is then excluded.
      label = labels[number] if number < len(labels) else str(number)
      path = folder / f'{video}.mp4'
      items.append(listings.Item(path, video, label, split_name))
  return annotations.Annotations(items, labels, notes)
