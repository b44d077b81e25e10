"""The JSON and the arrays of a checkpoint, as a stranger may write them."""

import json
import pathlib
import shutil

import numpy as np
import orbax.checkpoint as ocp
import pytest

from support import checkpointed, helpers
from tsm_jax import errors, files
from tsm_jax.runs import arrays, checkpoints, hashes, identity, json_item


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
  workdir = tmp_path_factory.mktemp('saved')
  return checkpointed.save(workdir, [7], [])


@pytest.fixture
def step(saved, tmp_path):
  return pathlib.Path(shutil.copytree(saved, tmp_path / 'run'), 'checkpoints/7')


def sign(step):
  """Hashes a step anew, as whoever changes it can."""
  (step / hashes.FILE).unlink()
  hashes.write(step)


def refusal(step):
  sign(step)
  with pytest.raises(errors.InputError) as refused:
    checkpoints.restore_model(step.parents[1])
  return str(refused.value)


def nested(depth):
  return '{"labels": ' + '[' * depth + ']' * depth + '}'


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('', 'is no JSON (it is empty)'),
    ('{"labels": ', 'is no JSON (Expecting value'),
    ('5', 'holds a int; it must be a JSON object'),
    ('[]', 'holds a list; it must be a JSON object'),
    ('{}', 'labels must be a list of names'),
    (nested(50), 'is nested too deeply'),
    (nested(1_000_000), 'is nested too deeply'),
    ('\xff\xfe', 'is no JSON'),
  ],
)
def test_a_text_that_is_no_description(text, message, step):
  (step / 'data/metadata').write_bytes(text.encode('latin1'))
  assert f'{step} is damaged (data/metadata' in (found := refusal(step))
  assert message in found


@pytest.mark.parametrize(
  ('field', 'value', 'message'),
  [
    ('labels', None, 'labels must be a list of names'),
    ('labels', [], 'labels must be a list of names'),
    ('labels', ['a', 5], 'label 1 is 5, not a text'),
    ('labels', ['a'], 'model.num_classes is 2, but there are 1 labels'),
    ('config', [], 'config must be an object'),
    ('config', {}, 'config.name is None, not a text'),
    ('config.name', {}, 'config.name is {}, not a text'),
    ('config.model', None, 'config.model must be an object'),
    ('config.model', {}, 'config.model lacks name'),
    ('config.data', {}, 'config.data lacks image_size'),
    ('config.data.mean', 'x', "data.mean is 'x'; it must be of type list of"),
    ('config.data.mean', [1, 'x'], 'it must be of type list of numbers'),
    ('config.data.std', [float('nan')], 'it must be of type list of numbers'),
    (
      'config.data.image_size',
      '9',
      "image_size is '9'; it must be of type int",
    ),
    ('config.data.image_size', True, 'image_size is True; it must be of type'),
    ('config.data.image_size', 10**6, 'data.image_size is 1000000'),
    pytest.param(
      'config.data.image_size', 10**400, 'data.image_size is 1000', id='huge'
    ),
    (
      'config.data.image_size',
      -5,
      'data.image_size is -5; it must be at least',
    ),
    ('config.data.short_side', 10**6, 'data.short_side is 1000000'),
    ('config.model.num_frames', 10**9, 'model.num_frames 1000000000'),
    ('config.model.depth', 19, 'model.depth is 19; choose from'),
    ('config.model.depth', [18], 'model.depth is [18]; it must be of type int'),
    ('config.model.width', 10**9, 'model.width is 1000000000; it must be at'),
    ('config.model.width', 0, 'model.width is 0; it must be a positive'),
    ('config.model.stage_sizes', [10**9], 'model.stage_sizes is [1000000000]'),
    ('config.model.stage_sizes', [1, -1], 'model.stage_sizes is [1, -1]'),
    ('config.model.stage_sizes', [1, 1.5], 'model.stage_sizes is [1, 1.5]'),
    ('config.model.name', 'vit', "model.name is 'vit'; choose from"),
    ('config.model.surplus', 1, "There is no field 'model.surplus'"),
    ('config.model.width', 16, 'model does not fit the network'),
    ('config.model.stage_sizes', [1, 1, 1], 'model does not fit the network'),
  ],
)
def test_a_field_that_no_run_would_write(field, value, message, step):
  path = step / 'data/metadata'
  meta = json.loads(path.read_text())
  *sections, name = field.split('.')
  inner = meta
  for section in sections:
    inner = inner[section]
  inner[name] = value
  path.write_text(json.dumps(meta))
  assert message in (found := refusal(step))
  assert str(step) in found
  assert len(found.replace(str(step.parent), '')) < 700


@pytest.mark.parametrize(
  ('field', 'value'),
  [
    ('window', 5),
    ('window', [{'loss': 'x'}]),
    ('window', [5]),
    ('dataset', None),
    ('dataset', {}),
  ],
)
def test_a_field_that_no_run_could_go_on_with(field, value, step):
  path = step / 'data/metadata'
  path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
  sign(step)
  checkpoints.restore_model(step)  # is for use, still
  config, _ = checkpointed.shapes()
  with pytest.raises(errors.InputError, match=f'data/metadata: {field} '):
    checkpoints.Checkpoints(step.parents[1], config.checkpoint)


@pytest.mark.parametrize(
  'change',
  [
    {'epochs': 'x'},
    {'epochs': float('inf')},
    {'schedule': 5},
    {'schedule': {'kind': 5}},
    {'eval': {'clips': []}},
    {'seed': None},
  ],
)
def test_a_config_that_no_run_could_go_on_with(change, step):
  path = step / 'data/metadata'
  meta = json.loads(path.read_text())
  meta['config'].update(change)
  path.write_text(json.dumps(meta))
  sign(step)
  config, _ = checkpointed.shapes()
  with pytest.raises(errors.InputError, match='must be of type'):
    checkpoints.Checkpoints(step.parents[1], config.checkpoint)


def test_small_files_do_not_fill_the_memory(step):
  reader = ocp.StandardCheckpointer()
  shutil.rmtree(step / 'model')
  zeros = np.zeros((2**14, 2**13), np.float32)  # 512 MB
  reader.save(step / 'model', {'params': {'x': zeros}})
  reader.wait_until_finished()
  found = refusal(step)
  assert 'MB would become 0.5 GB of arrays' in found and str(step) in found
  # And where there are no hashes, and all is read to see if it can be.
  (step / hashes.FILE).unlink()
  with pytest.raises(errors.InputError, match='would become 0'):
    arrays.read(files.path(step / 'model'))


@pytest.mark.parametrize('text', ['', '{}', '[]', '[' * 100_000, '\x00'])
def test_what_orbax_says_of_arrays(text, step):
  (step / 'model/_METADATA').write_text(text)
  assert f'{step}/model' in refusal(step)


def test_weights_to_start_from_come_too_late_for_a_run_that_goes_on():
  def described(init_from):
    config = helpers.tiny_config('', '', init_from=init_from)
    return identity.describe(config, ['a'], 'data')

  for began, asked, is_told in (
    ('', '', False),
    ('one.pth', 'one.pth', False),  # the same command, given again
    ('one.pth', '', False),
    ('one.pth', 'other.pth', True),
    ('', 'one.pth', True),
  ):
    lines = []
    json_item.carry_on(described(asked), described(began), 3, lines.append)
    told = [line for line in lines if f'init_from={asked!r} does noth' in line]
    assert len(told) == is_told
