"""Something-Something V1 and V2 and Jester, as 20BN distributes them."""

from tsm_jax import errors
from tsm_jax.data.sources import listings, lists
from tsm_jax.data.sources.published import annotations

FPS = 12.0  # of the frames that 20BN extracted


def ssv1(root, split):
  """Folders of frames and `id;label` lists; the classes are sorted."""
  del split
  return _frame_folders(root, 'something-something-v1')


def jester(root, split):
  """As `ssv1`; its newer lists have shorter names."""
  del split
  return _frame_folders(root, 'jester-v1')


def _frame_folders(root, name):
  # The file of labels has an order of its own, but TSM, whose checkpoints are
  # around, numbers the labels sorted.
  path = _find(root, name, 'labels.csv')
  labels = listings.in_order(annotations.read_lines(path))
  videos = []
  for kind in ('train', 'validation'):
    path = _find(root, name, f'{kind}.csv')
    videos += [(*pair, lists.SPLITS[kind]) for pair in _pairs(path)]
  test = _find(root, name, 'test.csv', required=False)
  videos += _test(root, name, _pairs(test) if test else [])
  frames = root / f'20bn-{name}'
  items = [
    listings.Item(frames / video, video, *rest) for video, *rest in videos
  ]
  notes = [f'frames are taken to be {FPS:g} per second, as 20BN states']
  return annotations.Annotations(items, labels, notes, FPS)


def ssv2(root, split):
  """WebM files and JSON lists; the classes are in the order of the JSON."""
  del split
  name = 'something-something-v2'
  path = _find(root, name, 'labels.json')
  numbers = annotations.read_json(path, dict)
  if sorted(map(str, numbers.values())) != sorted(
    map(str, range(len(numbers)))
  ):
    raise errors.InputError(
      f'The list {str(path)!r} does not number its labels from 0 to '
      f'{len(numbers) - 1}.'
    )
  labels = sorted(numbers, key=lambda label: int(numbers[label]))
  videos = []
  for kind in ('train', 'validation'):
    path = _find(root, name, f'{kind}.json')
    rows = annotations.read_json(path, list)
    ids = annotations.column(rows, 'id', path)
    for video, template in zip(ids, annotations.column(rows, 'template', path)):
      label = template.replace('[', '').replace(']', '')
      videos.append((video, label, lists.SPLITS[kind]))
  test = _find(root, name, 'test.json', required=False)
  rows = annotations.read_json(test, list) if test else []
  ids = annotations.column(rows, 'id', test)
  videos += _test(root, name, [(video, '') for video in ids])
  files = root / f'20bn-{name}'
  items = [
    listings.Item(files / f'{video}.webm', video, *rest)
    for video, *rest in videos
  ]
  return annotations.Annotations(items, labels, [])


def _find(root, name, kind, required=True):
  """A list under its old name, which has that of the dataset, or the new."""
  return annotations.find(root, f'{name}-{kind}', kind, required=required)


def _pairs(path):
  """`(id, label)` of every `id;label` line."""
  lines = annotations.read_lines(path)
  if lines and lines[0].startswith('video_id,'):
    raise errors.InputError(
      f'The list {str(path)!r} has a header and commas, as no list of 20BN '
      'has; take the official lists.'
    )
  pairs = (line.partition(';') for line in lines)
  return [(video.strip(), label.strip()) for video, _, label in pairs]


def _test(root, name, pairs):
  """The test videos, with their labels where the answers are there."""
  path = _find(root, name, 'test-answers.csv', required=False)
  answers = _pairs(path) if path else []
  known = dict(answers)
  pairs = pairs or answers
  return [(video, known.get(video, label), 'test') for video, label in pairs]
