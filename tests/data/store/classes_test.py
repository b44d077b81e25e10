"""The class of every clip, which a dataset knows without its frames."""

import json

import numpy as np
import pytest

from support import helpers
from tsm_jax import errors
from tsm_jax.data.store import build_report, dataset, shards

NAMES = ('c', 'a', 'b')  # their order is another one


def built_classes(path, change=lambda report: None):
  """The classes of the training clips, with a changed report."""
  file = path / build_report.NAME
  report = json.loads(file.read_text())
  change(report)
  file.write_text(json.dumps(report))
  split = dataset.open(path).split('train')
  found = split.classes
  assert found.dtype == np.int32
  np.testing.assert_array_equal(found, [record['label'] for record in split])
  return report['classes']['train'] if 'classes' in report else None


def test_a_dataset_knows_the_classes_of_its_clips(tmp_path, monkeypatch):
  monkeypatch.setattr(shards, 'CLIPS_PER_SHARD', 4)
  source = helpers.write_folder(tmp_path / 'clips', NAMES, size=(16, 16))
  (source / 'b' / 'no.mp4').write_bytes(b'')
  # A build that is refused, whose shards an earlier version has made.
  with pytest.raises(errors.InputError, match='1 of 13 videos cannot be used'):
    helpers.build(source, tmp_path / 'data', max_excluded=0.01)
  older, *_ = sorted((tmp_path / 'data').rglob('*train*.json'))
  content = json.loads(older.read_text())
  del content['classes']
  older.write_text(json.dumps(content))
  path, _ = helpers.build(source, tmp_path / 'data', max_excluded=0.1)
  known = built_classes(path)
  assert known[:4] == [None] * 4 and None not in known[4:]

  def forget(report):
    del report['classes']

  assert built_classes(path, forget) is None  # a report of an earlier version
  path, _ = helpers.build(source, tmp_path / 'new', max_excluded=0.1)
  known = built_classes(path)
  assert sorted(set(known)) == [0, 1, 2]
  for classes, why in (
    ({'train': known}, "'classes' of other splits"),
    ({'train': known, 'val': [3] * (12 - len(known))}, 'classes of clips that'),
    ({'train': known[1:], 'val': []}, 'classes of clips that are none'),
  ):
    with pytest.raises(errors.InputError, match=why):
      built_classes(
        path, lambda report, classes=classes: report.update(classes=classes)
      )
