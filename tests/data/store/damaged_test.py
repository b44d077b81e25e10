"""Datasets whose files were cut, emptied, edited, or come from elsewhere."""

import json
import pathlib
import re
import shutil
import sys

import pytest

from support import helpers
from tsm_jax import errors
from tsm_jax.data import build
from tsm_jax.data.doctor import __main__ as doctor
from tsm_jax.data.store import dataset

INNER = json.dumps(
  {'feature': {'type': 'evil_module.Text', 'content': {}}, 'length': None}
)
SHARD = 'video_folder-train.array_record-00000-of-00001'


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
  root = tmp_path_factory.mktemp('whole')
  source = helpers.write_folder(root / 'clips', clips=2, num_frames=2)
  return pathlib.Path(helpers.build(source, root / 'data', holdout=0.5)[0])


@pytest.fixture
def copy(whole, tmp_path):
  return pathlib.Path(shutil.copytree(whole, tmp_path / whole.name))


def fails(path, name, message=''):
  """A sentence that names the file, when it is opened or read."""
  where = re.escape(repr(str(path / name)))
  with pytest.raises(errors.InputError, match=f'{where} .*{message}') as caught:
    list(dataset.open(path).split('train'))
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
  ('name', 'old', 'new'),
  [
    ('build_report.json', '"jump"', '7'),
    ('build_report.json', '"labels"', '"classes"'),
    ('build_report.json', '  2\n', '  "2"\n'),
    ('build_report.json', '"train": [', '"other": 2, "train": ['),
    ('build_report.json', '"damaged": []', '"damaged": [["x"]]'),
    ('dataset_info.json', '"shardLengths"', '"lengths"'),
    ('dataset_info.json', '"2"', '1e999'),
    ('dataset_info.json', '"name": "train"', '"name": "other"'),
  ],
)
def test_a_file_that_contradicts_the_others_is_named(copy, name, old, new):
  text = (copy / name).read_text()
  assert old in text
  (copy / name).write_text(text.replace(old, new))
  fails(copy, name)


@pytest.mark.parametrize('name', ['video_id', 'frames'])
@pytest.mark.parametrize(
  'change',
  [
    lambda tree: tree.update(pythonClassName='evil_module.Text'),
    lambda tree: tree.update(python_class_name='evil_module.Text'),
    lambda tree: tree.update(type='evil_module.Text', content={}),
    lambda tree: (
      tree.pop('sequence', tree.pop('text', None)),
      tree.update(jsonFeature={'json': INNER}),
    ),
    lambda tree: (
      tree.pop('sequence', tree.pop('text', None)),
      tree.update(json_feature={'json': INNER}),
    ),
  ],
)
def test_nothing_that_a_dataset_names_is_imported(
  copy, tmp_path, change, name, monkeypatch
):
  (tmp_path / 'evil_module.py').write_text('raise SystemExit("imported")')
  monkeypatch.syspath_prepend(tmp_path)
  tree = json.loads((copy / 'features.json').read_text())
  change(tree['featuresDict']['features'][name])
  (copy / 'features.json').write_text(json.dumps(tree))
  fails(copy, 'features.json', 'which no clip consists of')
  assert 'evil_module' not in sys.modules


def flip(path, place=100):
  data = bytearray(path.read_bytes())
  data[place] ^= 1
  path.write_bytes(data)


def test_the_doctor_names_a_corrupt_record(copy, tmp_path, capsys):
  flip(copy / SHARD)
  assert doctor.main([str(copy), '--cache', str(tmp_path / 'cache')]) == 1
  assert 'its record 0 cannot be read' in ' '.join(
    capsys.readouterr().out.split()
  )


def test_a_build_that_finds_a_damaged_report_ends_with_status_2(
  whole, tmp_path, capsys
):
  data = shutil.copytree(whole.parents[2], tmp_path / 'data')
  (report,) = data.rglob('build_report.json')
  report.write_text('')
  arguments = ['folder', '--manual_dir', str(whole.parents[3] / 'clips')]
  with pytest.raises(SystemExit) as caught:
    build.main([*arguments, '--data_dir', str(data)])
  assert caught.value.code == 2
  assert f'error: {str(report)!r} cannot be read' in capsys.readouterr().err
