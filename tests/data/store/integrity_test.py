"""Files of a built dataset that are damaged, or another's."""

import json
import pathlib
import re
import shutil

import numpy as np
import pytest

from support import helpers
from tsm_jax import errors
from tsm_jax.data.input import pipeline, preprocess
from tsm_jax.data.store import dataset


@pytest.fixture(scope='session')
def built_once(tmp_path_factory):
  """A dataset of four clips, of which two are of each class."""
  root = tmp_path_factory.mktemp('integrity')
  clips = helpers.write_folder(root / 'clips', clips=2, num_frames=2)
  return helpers.build(clips, root / 'data', holdout=0.5)[0]


@pytest.fixture
def built(built_once, tmp_path):
  return pathlib.Path(shutil.copytree(built_once, tmp_path / 'built'))


def fails(path, message):
  with pytest.raises(errors.InputError, match=message) as caught:
    dataset.open(path)
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
  'text, message',
  [
    ('jump\n', "label.labels.txt' names 1 classes, its build report 2"),
    ('run\njump\n', "txt' calls class 0 'run', its build report 'jump'"),
    ('jump\nrun\nsit\n', 'names 3 classes'),
    ('', 'names 0 classes'),
  ],
)
def test_names_of_classes_are_compared(built, text, message):
  (built / 'label.labels.txt').write_text(text)
  fails(built, message)
  (built / 'label.labels.txt').unlink()
  fails(built, "label.labels.txt' cannot be read")


@pytest.mark.parametrize(
  'name', ['build_report.json', 'dataset_info.json', 'features.json']
)
@pytest.mark.parametrize('content', [b'', b'\0\0', b'[1]', b'{"a": ', b'\xff'])
def test_files_of_json(built, name, content):
  (built / name).write_bytes(content)
  fails(built, f"{name}' cannot be read: .*build it again")


def test_reports_without_their_fields(built):
  path = built / 'build_report.json'
  report = json.loads(path.read_text())
  for name in ('labels', 'options', 'num_frames', 'name', 'modality'):
    path.write_text(json.dumps({**report, name: None}))
    fails(built, f"build_report.json' holds no {name!r}")
  path.write_text(json.dumps({**report, 'labels': [['run'], 'jump']}))
  fails(built, 'a class name that is no text')
  path.write_text(json.dumps({**report, 'num_frames': {'train': [1]}}))
  fails(
    built, "dataset_info.json' has 2? .*clips in the split|clips in the spl"
  )


def test_a_module_that_a_file_names_is_not_imported(
  built, tmp_path, monkeypatch
):
  (tmp_path / 'hostile.py').write_text(f'open({str(tmp_path / "ran")!r}, "w")')
  monkeypatch.syspath_prepend(tmp_path)
  path = built / 'features.json'
  features = json.loads(path.read_text())
  for name in ('fps', 'label'):
    changed = json.loads(json.dumps(features))
    changed['featuresDict']['features'][name]['pythonClassName'] = 'hostile.F'
    path.write_text(json.dumps(changed))
    fails(built, "features.json' names 'hostile.F', which no clip consists of")
  legacy = {'type': 'hostile.F', 'content': {}}
  path.write_text(json.dumps(legacy))
  fails(built, "names 'hostile.F'")
  assert not (tmp_path / 'ran').exists()
  del features['featuresDict']['features']['fps']
  path.write_text(json.dumps(features))
  fails(built, 'does not describe clips of these classes')


@pytest.mark.parametrize('how', ['zeros', 'cut', 'gone', 'flipped'])
def test_records_that_are_damaged(built, how):
  (file,) = built.glob('*train.array_record*')
  data = np.frombuffer(file.read_bytes(), np.uint8).copy()
  if how == 'zeros':
    file.write_bytes(bytes(len(data)))
  elif how == 'cut':
    file.write_bytes(data[: len(data) // 2].tobytes())
  elif how == 'flipped':
    data[len(data) // 2] ^= 1
    file.write_bytes(data.tobytes())
  else:
    file.unlink()
  opened = dataset.open(built)
  with pytest.raises(errors.InputError, match=re.escape(str(built))) as caught:
    source = opened.split('train')
    for number in range(len(source)):
      source[number]
  assert '\n' not in str(caught.value)
  if how == 'flipped':
    assert file.name in str(caught.value)


def test_training_names_the_damaged_file(built):
  (file,) = built.glob('*train.array_record*')
  data = np.frombuffer(file.read_bytes(), np.uint8).copy()
  data[len(data) // 2] ^= 1
  file.write_bytes(data.tobytes())
  source = dataset.open(built).split('train')
  config = helpers.tiny_config(built, '', batch_size=2)
  how = preprocess.Preprocessing.from_config(config)
  with pytest.raises(errors.InputError, match=file.name):
    next(pipeline.train_batches(source, config, how, 0, (0, 1)))


def test_a_label_beyond_the_classes(built):
  source = dataset.open(built).split('train')
  source._sources[0]._num_labels = 1
  with pytest.raises(errors.InputError, match='has the label 1, of 1 classes'):
    [source[number] for number in range(len(source))]


def test_a_split_that_is_missing_stops_before_the_build(tmp_path):
  helpers.write_folder(tmp_path / 'clips' / 'train', clips=1)
  helpers.write_folder(tmp_path / 'clips' / 'testing', clips=1)
  config = {
    **helpers.DATA,
    'source': str(tmp_path / 'clips'),
    'data_dir': str(tmp_path / 'data'),
  }
  message = (
    r"clips', which has no clip in the split 'val'; it has test \(2\), train "
    r'\(2\); evaluate on another one by --config.eval.split=test'
  )
  with pytest.raises(errors.InputError, match=message):
    dataset.prepare(config, log=print, splits=('train', 'val'))
  assert not (tmp_path / 'data').exists()
