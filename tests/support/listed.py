"""Folders and lists of clips that are never opened."""

import csv

import pytest

from tsm_jax import errors
from tsm_jax.data.sources import folder


def touch(root, *names):
  """Files that are never opened here: what they hold does not matter."""
  for name in names:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(b'x')
  return root


def read_csv(path):
  """The rows of a table, as dicts."""
  with open(path, newline='', encoding='utf-8') as file:
    return list(csv.DictReader(file))


def write_csv(path, rows, columns=('path', 'label'), encoding='utf-8'):
  with open(path, 'w', encoding=encoding, newline='') as file:
    csv.writer(file).writerows([columns, *rows])
  return path


def table(listing):
  return {i.video_id: (i.label, i.split) for i in listing.items}


def fails(source, message, **kwargs):
  with pytest.raises(errors.InputError, match=message) as caught:
    folder.scan(source, **kwargs)
  assert '\n' not in str(caught.value)
