import hashlib
import re

import chex
import jax
import numpy as np
import pytest

from support import golden, helpers, torch_weights, trainings
from tsm_jax import convert, errors, models
from tsm_jax.convert import __main__ as main
from tsm_jax.convert import fit, init_from
from tsm_jax.runs import checkpoints

torch = pytest.importorskip('torch')

FIELDS = torch_weights.FIELDS
CONFIG = {**models.DEFAULTS, **FIELDS}
LABELS = ['jump', 'run']
save = torch_weights.save


@pytest.fixture
def tsn(tmp_path):
  """A checkpoint of ours, converted from a file: TSN, two named classes."""
  file = save(
    tmp_path / 'tsn.pth',
    {k.replace('.net.', '.'): v for k, v in torch_weights.small(2).items()},
  )
  names = tmp_path / 'names.txt'
  names.write_text('\n'.join(LABELS))
  main.to_checkpoint(file, tmp_path / 'tsn', names, stage_sizes=(1,))
  return tmp_path / 'tsn'


def load(path, labels=LABELS, **changes):
  lines = []
  variables, origin = init_from.load(
    str(path), {**CONFIG, **changes}, labels, lines.append
  )
  return variables, origin, '\n'.join(lines)


def without_head(variables):
  params = {k: v for k, v in variables['params'].items() if k != 'head'}
  return {**variables, 'params': params}


def test_tsm_from_a_tsn_of_ours(tsn):
  source = checkpoints.restore_model(tsn)
  assert source.config.shift == 'none'
  variables, origin, log = load(tsn)
  chex.assert_trees_all_equal(variables, jax.device_get(source.variables))
  assert (origin['run'], origin['step']) == ('tsn.pth', 0)
  assert len(origin['converted_from']['sha256']) == 64
  assert 'dropped' not in log

  # Other names, another number, or another order: a new classifier.
  for labels, message in (
    (['jump', 'walk'], "2 classes is dropped.*'run' where the dataset has 'w"),
    (['run', 'jump'], "2 classes is dropped.*'jump' where the dataset has 'r"),
    (['hop', *LABELS], 'classifier of 2 classes is dropped for a new one of 3'),
  ):
    new, _, log = load(tsn, labels, num_classes=len(labels))
    chex.assert_trees_all_equal(without_head(new), without_head(variables))
    head = new['params']['head']
    assert head['kernel'].shape == (8, len(labels))
    assert 0 < head['kernel'].std() < 0.01 and not head['bias'].any()
    assert re.search(message, log)


@pytest.mark.parametrize(
  ('modality', 'count'), [('flow', 10), ('rgb_diff', 15)]
)
@pytest.mark.parametrize('kind', ['workdir', 'file'])
def test_another_modality_from_rgb(tsn, tmp_path, kind, modality, count):
  path = tsn
  if kind == 'file':
    path = save(tmp_path / 'rgb.pth', torch_weights.small(2))
  variables, _, log = load(path, modality=modality)
  rgb = torch_weights.small(2)['module.base_model.conv1.weight']  # [O, 3, H, W]
  mean = rgb.mean(axis=1).transpose((1, 2, 0))[:, :, None]
  stem = variables['params']['conv1']['kernel']
  np.testing.assert_allclose(stem, np.repeat(mean, count, axis=2), rtol=1e-6)
  assert f'stem for {modality} is the mean' in log


def test_a_file_of_pytorch(tmp_path):
  path = save(tmp_path / 'x.pth', torch_weights.small(2))
  variables, origin, log = load(path, shift='none')
  _, expected = convert.from_torch(torch_weights.small(2), stage_sizes=(1,))
  chex.assert_trees_all_equal(variables, expected)
  sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
  assert origin == {'file': 'x.pth', 'sha256': sha256}
  assert 'does not name its classes' in log
  _, _, log = load(save(tmp_path / 'five.pth', torch_weights.small(5)))
  assert 'classifier of 5 classes is dropped for a new one of 2' in log
  # ImageNet's thousand classes are never kept.
  weights = {
    k.removeprefix('module.base_model.').replace('.net.', '.'): v
    for k, v in torch_weights.small(1000).items()
    if 'new_fc' not in k
  }
  weights['fc.weight'] = golden.weights({'fc.weight': (1000, 8)})['fc.weight']
  weights['fc.bias'] = np.zeros(1000, np.float32)
  variables, _, log = load(save(tmp_path / 'imagenet.pth', weights))
  assert 'New weights: head.bias, head.weight.' in log


def test_what_the_weights_tell_of_another_model_is_said(tsn, tmp_path):
  start = 'The weights look like those of a model with '
  name = 'TSM_x_RGB_resnet18_shift4_blockres_avg_segment4_e1.pth'
  path = save(tmp_path / name, torch_weights.small(2))
  _, _, log = load(path, fold_div=4)
  assert start not in log
  _, _, log = load(path, direction='past')
  assert f'{start}fold_div=4, but fold_div=8 is used.' in log
  assert f"{start}direction='both', but direction='past' is used." in log
  _, _, log = load(path, shift='block', fold_div=4)
  assert f"{start}shift='blockres', but shift='block' is used." in log
  _, _, log = load(path, shift='none')
  assert f"{start}shift='blockres', but shift='none' is used." in log
  assert 'fold_div' not in log  # which means nothing without the shift
  # Of ours, the checkpoint tells it.
  _, _, log = load(tsn, fold_div=2)
  assert f"{start}shift='none', but shift='blockres' is used." in log
  assert 'fold_div' not in log


def test_what_does_not_fit_is_one_sentence(tsn, tmp_path):
  broken = tmp_path / 'broken.pth'
  broken.write_bytes(b'PK')
  (tmp_path / 'empty').mkdir()
  file = save(tmp_path / 'x.pth', torch_weights.small(2))
  mobilenet = {'name': 'mobilenet_v2'}
  for path, changes, message in (
    (tsn, mobilenet, 'holds the weights of a resnet, but model.name'),
    (file, mobilenet, 'holds the weights of a resnet, but model.name'),
    (tsn, {'width': 16}, 'resnet with width=8, but model.width is 16'),
    (file, {'stage_sizes': (1, 1)}, 'do not fit.*Missing: layer2'),
    (broken, {}, 'cannot be read'),
  ):
    with pytest.raises(errors.InputError, match=message) as refused:
      load(path, **changes)
    assert str(refused.value).startswith(f'init_from is {str(path)!r}: ')
    assert len(str(refused.value).splitlines()) == 1
  with pytest.raises(errors.InputError, match=r'init_from is .*no such file'):
    init_from.check(str(tmp_path / 'none.pth'))
  with pytest.raises(errors.InputError, match='holds no checkpoint'):
    init_from.check(str(tmp_path / 'empty'))
  init_from.check('')


def test_a_model_that_is_not_finite_is_no_beginning():
  config, variables = convert.from_torch(
    torch_weights.small(2), stage_sizes=(1,)
  )
  variables['params']['layer1_0']['conv2']['kernel'][0] = np.nan
  with pytest.raises(errors.InputError, match=r'finite.*: layer1\.0\.conv2\.w'):
    fit.from_ours(config, variables, config)


def test_a_run_starts_from_it_once_and_says_so(
  tsn, folder, data_dir, tmp_path, monkeypatch
):
  trainings.on_devices(monkeypatch, 1)

  def config(**changes):
    # With a rate of 0, the parameters stay those that the run began with.
    fields = helpers.tiny_config(
      *(folder, data_dir),
      epochs=2.0,
      base_learning_rate=0.0,
      checkpoint__every_steps=2,
      **changes,
    )
    fields.model.update({**FIELDS, 'num_classes': 0})
    return fields

  def run(config, workdir):
    *_, log = trainings.run(config, workdir)
    return checkpoints.restore_model(workdir), log

  whole, log = run(config(init_from=str(tsn)), tmp_path / 'whole')
  source = checkpoints.restore_model(tsn)
  params = source.variables['params']
  chex.assert_trees_all_equal(whole.variables['params'], params)
  with pytest.raises(AssertionError):  # statistics move in every step
    chex.assert_trees_all_equal(whole.variables, source.variables)
  assert f'Starting from {tsn}.' in log
  assert whole.meta['initialised_from']['run'] == 'tsn.pth'

  with monkeypatch.context() as patch:
    trainings.terminate_at(patch, 2)
    with pytest.raises(SystemExit):
      run(config(init_from=str(tsn)), tmp_path / 'parts')
  resumed, log = run(config(init_from='gone.pth'), tmp_path / 'parts')
  assert 'Starting from' not in log
  chex.assert_trees_all_equal(resumed.variables, whole.variables)
  assert resumed.meta['initialised_from'] == whole.meta['initialised_from']
  with pytest.raises(errors.InputError, match=r"init_from is 'gone\.pth'"):
    run(config(init_from='gone.pth'), tmp_path / 'new')
