"""What weights have seen before a run starts from them: images and clips."""

import dataclasses

import jax
import pytest

from support import torch_weights
from tsm_jax import modalities, models
from tsm_jax.configs import common
from tsm_jax.convert import __main__ as main
from tsm_jax.convert import beside, init_from
from tsm_jax.runs import checkpoints

torch = pytest.importorskip('torch')
from support import torch_bn_inception  # noqa: E402  (imports torch)

CONFIG = {**models.DEFAULTS, **torch_weights.FIELDS}
save = torch_weights.save


@pytest.fixture
def run(tmp_path):
  """A checkpoint of ours, converted from a file."""
  file = save(tmp_path / 'file.pth', torch_weights.small(2))
  main.to_checkpoint(file, tmp_path / 'run', stage_sizes=(1,))
  return tmp_path / 'run'


def load(path, data, **changes):
  """What is logged when a run with these fields starts from weights."""
  lines = []
  config = {**CONFIG, **changes}
  init_from.load(str(path), config, ['jump', 'run'], lines.append, data)
  return '\n'.join(lines)


def test_other_images_than_the_weights_saw_are_said(run, tmp_path):
  data = common.get_config('').data.to_dict()
  half = {**data, 'mean': (0.5,), 'std': (0.25,), 'divisor': 1.0}
  turned = {**data, 'channel_order': 'bgr'}
  log = load(run, data=data)
  assert 'other images' not in log
  log = load(run, data=half)
  assert (
    'The weights saw other images: data.mean is (0.5,), data.std is (0.25,), '
    'data.divisor is 1.0; theirs are '
    "--config.data.mean='(0.485,0.456,0.406)' "
    "--config.data.std='(0.229,0.224,0.225)' --config.data.divisor=255.0."
  ) in log
  log = load(run, data=turned)
  assert "data.channel_order is 'bgr'; theirs are --config.data.channel" in log
  log = load(run, data=half, modality='flow')  # it has others anyway
  assert 'other images' not in log
  # A file has them beside it.
  file = save(tmp_path / 'ours.pth', torch_weights.small(2))
  trained = checkpoints.restore_model(run)
  how = dataclasses.replace(trained.preprocessing, channel_order='bgr')
  beside.write(file, dataclasses.replace(trained, preprocessing=how))
  log = load(file, data=data)
  assert "data.channel_order is 'rgb'; theirs are --config.data.channel" in log
  log = load(file, data=turned)
  assert 'other images' not in log


def test_clips_that_the_weights_may_have_seen_are_told(run, tmp_path):
  trained = checkpoints.restore_model(run)
  data = common.get_config('').data.to_dict()
  data.update(source='/videos', folds=5, fold=0)
  meta = {**trained.meta, 'config': {**trained.meta['config'], 'data': data}}
  variables = jax.device_get(trained.variables)
  checkpoints.save_model(tmp_path / 'folds', variables, meta)
  for changes, told in (
    ({}, ''),
    ({'fold': 1}, 'data.fold is 1 (there 0).'),
    ({'folds': 0}, 'data.folds is 0 (there 5).'),
    ({'source': '/others', 'fold': 1}, ''),
  ):
    log = load(tmp_path / 'folds', data={**data, **changes})
    found = [line for line in log.splitlines() if 'held out here' in line]
    assert [line.rpartition(': ')[2] for line in found] == [told] * bool(told)


def test_weights_of_bn_inception_saw_whole_levels(tmp_path):
  """All there are, are Caffe's, whatever their file says."""
  weights = torch_bn_inception.weights_of(2)
  path = save(tmp_path / 'TSM_x_RGB_BNInception_shift8_block_avg.pth', weights)
  fields = {'name': 'bn_inception', 'shift': 'block', 'stage_sizes': ()}
  fields |= {'depth': 50, 'width': 64}
  data = common.get_config('').data.to_dict()
  log = load(path, data=data, **fields)
  assert (
    "--config.data.mean='(104.0,117.0,128.0)' --config.data.std='(1.0)' "
    '--config.data.divisor=1.0 --config.data.channel_order=bgr.'
  ) in log
  data.update(modalities.normalization('bn_inception', 'rgb')._asdict())
  log = load(path, data=data, **fields)
  assert 'other images' not in log
