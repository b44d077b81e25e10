"""Whether the small files of a built dataset are those that were written.

TFDS reads them, too, and would import any module that a features.json names.
"""

import json

from google.protobuf import json_format

from tsm_jax import errors
from tsm_jax.data.store import tfds_builder

_INFO, _FEATURES = 'dataset_info.json', 'features.json'
_LABELS = 'label.labels.txt'
# What holds such a name, or text that may: TFDS has three ways to write it.
_LOOKED_UP = ('pythonclassname', 'type', 'protocls', 'content', 'jsonfeature')
_REMEDY = (
  'the dataset is damaged or not of this program: take a whole copy, or remove '
  'its folder and build it again'
)


def check(path, labels, num_frames, multi_label=False):
  """Raises InputError if a file of a dataset contradicts its build report.

  Args:
    path: `pathlib.Path` of the folder of the dataset.
    labels: class names, as the report has them.
    num_frames: of the clips of each split, as the report has them.
    multi_label: whether a clip may have several labels.
  """
  info = read_json(path / _INFO)
  read_json(path / 'metadata.json', required=False)
  _check_features(path / _FEATURES, labels, multi_label)
  _check_labels(path / _LABELS, labels)
  stored = _sizes(info, path / _INFO)
  for split in {*stored, *num_frames}:
    count, expected = stored.get(split, 0), len(num_frames.get(split, ()))
    if count != expected:
      raise errors.InputError(
        f'{str(path / _INFO)!r} has {count} clips in the split {split!r}, the '
        f'build report {expected}; {_REMEDY}.'
      )


def _sizes(info, path):
  """The clips of each split, as TFDS has counted them."""
  try:
    return {
      split['name']: sum(map(int, split['shardLengths']))
      for split in info.get('splits', ())
    }
  except (KeyError, TypeError, ValueError, OverflowError) as error:
    raise damaged(path, 'does not count the clips of a split') from error


def read_json(path, required=True):
  """The content of a file that holds a JSON object.

  Args:
    path: `pathlib.Path` of the file.
    required: whether it must exist; else a missing one holds nothing.

  Raises:
    InputError: if it cannot be read, or holds something else.
  """
  reason = 'it is missing'
  try:
    text = path.read_text(encoding='utf-8')
    content = json.loads(text) if text.strip('\0 \n') else None
    if isinstance(content, dict):
      return content
    reason = 'it holds no JSON object' if content else 'it is empty'
  except FileNotFoundError:
    if not required:
      return {}
  except (OSError, ValueError, RecursionError) as error:
    reason = str(error)
  raise damaged(path, f'cannot be read: {reason}')


def damaged(path, why):
  """The `InputError` of a file that is not as it was written."""
  return errors.InputError(f'{str(path)!r} {why}; {_REMEDY}.')


def _check_features(path, labels, multi_label):
  found = read_json(path)
  ours = json_format.MessageToDict(
    tfds_builder.features(labels, multi_label).to_proto()
  )
  if found == ours:
    return
  # Other releases of TFDS may write them in another way.
  foreign = _classes(found) - _classes(ours)
  if foreign:
    raise damaged(path, f'names {min(foreign)!r}, which no clip consists of')
  if _keys(found) != _keys(ours):
    raise damaged(path, 'does not describe clips of these classes')


def _classes(content):
  """The names of classes that TFDS would look up, at any depth."""
  if isinstance(content, list):
    return set().union(*map(_classes, content))
  if not isinstance(content, dict):
    return set()
  found = {
    str(value)
    for name, value in content.items()
    if name.replace('_', '').lower() in _LOOKED_UP
  }
  return found.union(*map(_classes, content.values()))


def _keys(content):
  """The fields of a clip, and how many classes there are."""
  fields = content.get('featuresDict', {}).get('features', {})
  label = fields.get('label', {})
  label = label.get('sequence', {}).get('feature', label).get('classLabel', {})
  return sorted(fields), str(label.get('numClasses'))


def _check_labels(path, labels):
  """Raises InputError unless the lines of a file are the class names."""
  try:
    lines = path.read_text(encoding='utf-8').split('\n')
  except (OSError, ValueError) as error:
    raise damaged(path, f'cannot be read: {error}') from error
  found = [line.strip() for line in lines if line.strip()]
  if found == [label.strip() for label in labels]:
    return
  pairs = enumerate(zip(found, labels))
  first = next((i for i, (a, b) in pairs if a != b.strip()), None)
  if first is None:
    why = f'names {len(found)} classes, its build report {len(labels)}'
  else:
    why = (
      f'calls class {first} {found[first]!r}, its build report '
      f'{labels[first]!r}'
    )
  raise damaged(path, why)
