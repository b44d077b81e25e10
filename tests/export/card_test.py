"""What tells of an export, and whether its files are those it tells of."""

import json

import pytest

from support import checkpointed, leaving
from tsm_jax import checkpoints, errors
from tsm_jax.export import card, graph
from tsm_jax.runs import hashes
from tsm_jax.stream.events import rules

SOURCE = {'checkpoint': 'RUN', 'name': 'tiny', 'step': 7, 'sha256': None}


@pytest.fixture
def written(tmp_path):
  trained = leaving.trained(direction='past')
  made = card.describe(
    trained,
    graph.create(trained, 'step', None),
    rules.default(trained.labels, 'b'),
    SOURCE,
    format='onnx',
    precision='float32',
    batch=None,
    versions={'onnxruntime': '1.31'},
  )
  (tmp_path / made.model).write_bytes(b'a model')
  card.write_labels(tmp_path, made.labels)
  card.write(tmp_path, made)
  return made


def change(folder, **fields):
  path = folder / card.FILE
  path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_it_is_read_as_it_was_written(written, tmp_path):
  found = card.read(tmp_path)
  assert vars(found) == {**vars(written), 'files': found.files}
  assert found.files == {
    'labels.txt': {
      'bytes': 6,
      'sha256': hashes.sha256(tmp_path / 'labels.txt'),
    },
    'model.onnx': {
      'bytes': 7,  # and the hash that sha256sum prints
      'sha256': '97ff8a35544dcf40ad84047074439dd6'
      'aa3a0be469ea578a1b1c017d939ec61c',
    },
  }


def test_what_it_says(written, tmp_path):
  content = json.loads((tmp_path / card.FILE).read_text())
  assert content['inputs'][:2] == [
    {'name': 'frames', 'dtype': 'uint8', 'shape': [None, 36, 36, 3]},
    {'name': 'reset', 'dtype': 'bool', 'shape': [None]},
  ]
  cache = {'dtype': 'float32', 'shape': [None, 8, 8, 1]}
  assert content['inputs'][2] == {'name': 'cache_layer1_0_shift_past', **cache}
  assert content['outputs'][1] == {'name': 'next_layer1_0_shift_past', **cache}
  assert content['caches'][0] == [
    'cache_layer1_0_shift_past',
    'next_layer1_0_shift_past',
  ]
  assert content['stored_size'] == 36
  how = content['preprocessing']
  assert (how['image_size'], how['short_side']) == (32, 40)
  assert (how['num_frames'], how['mean']) == (4, [0.5, 0.4, 0.45])
  assert content['rule']['background'] == ['b']
  assert content['source'] == SOURCE
  assert content['versions']['onnxruntime'] == '1.31'
  assert (tmp_path / 'labels.txt').read_text() == 'a\nb\nc\n'
  # Stem; three convolutions and the downsampling of both blocks; head.
  assert content['multiply_adds'] == (
    256 * 7 * 7 * 3 * 8
    + 64 * (8 * 8 + 9 * 8 * 8 + 8 * 32 + 8 * 32)
    + 64 * 32 * 16
    + 16 * (9 * 16 * 16 + 16 * 64 + 32 * 64)
    + 64 * 3
  )


def test_a_source_is_told_by_the_hashes_of_its_files(tmp_path):
  checkpointed.save(tmp_path, steps=(10,), best=())
  trained = checkpoints.restore_model(tmp_path)
  found = card.origin(tmp_path, trained)
  listed = tmp_path / 'checkpoints' / '10' / 'SHA256SUMS'
  expected = {'name': 'quickstart', 'sha256': hashes.sha256(listed)}
  assert found == {'checkpoint': str(tmp_path), 'step': 10, **expected}


@pytest.mark.parametrize(
  ('spoil', 'message'),
  [
    (
      lambda x: (x / 'model.onnx').write_bytes(b'A model'),
      'not what was saved',
    ),
    (lambda x: (x / 'model.onnx').unlink(), 'model.onnx is missing; copy the'),
    (lambda x: (x / 'labels.txt').write_text('a\nc\nb\n'), 'labels.txt is not'),
    (lambda x: (x / card.FILE).unlink(), 'is no export: it has no card.json'),
    (lambda x: (x / card.FILE).write_text('{'), 'card.json is no JSON'),
    (lambda x: change(x, version=2), 'version 2; .* install a later one'),
    (lambda x: change(x, format='exe'), "format is 'exe'"),
    (lambda x: change(x, labels='abc'), "labels is 'abc'"),
    (lambda x: change(x, inputs=[{'name': 1}]), "inputs has {'name': 1}"),
    (lambda x: change(x, files={}), 'files has no model.onnx'),
    (
      lambda x: change(x, files={'../a': {'sha256': ''}}),
      r"files has '\.\./a'",
    ),
  ],
)
def test_what_is_no_whole_export_is_refused(written, tmp_path, spoil, message):
  spoil(tmp_path)
  with pytest.raises(errors.InputError, match=message):
    card.read(tmp_path)


def test_no_folder_is_no_export(tmp_path):
  with pytest.raises(errors.InputError, match='is no export'):
    card.read(tmp_path / 'nothing')
