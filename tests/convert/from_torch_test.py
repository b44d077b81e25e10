import re

import jax
import numpy as np
import pytest

from support import golden, torch_weights
from tsm_jax import convert, models

torch = pytest.importorskip('torch')
from support import torch_resnet  # noqa: E402  (imports torch)

EXPECTED = {
  'r18_shift': {'depth': 18, 'num_classes': 174},
  'r34_shift': {'depth': 34, 'num_classes': 174},
  'r50_shift': {'depth': 50},
  'r50_do0': {'depth': 50, 'dropout': 0.0},
  'r50_flow': {'depth': 50, 'modality': 'flow'},
  'r50_shift_block': {'depth': 50, 'shift': 'block'},
  'r50_shift_nl': {'depth': 50, 'non_local': True},
  'r50_tsn': {'depth': 50, 'shift': 'none'},
  'r101_shift': {'depth': 101, 'num_classes': 174, 'shift_every': 0},
  'mbv2_shift_dropout': {'name': 'mobilenet_v2', 'num_classes': 27},
  'mbv2_shift_dropout0': {
    'name': 'mobilenet_v2',
    'num_classes': 27,
    'dropout': 0.0,
  },
  'online_mbv2_jester': {
    'name': 'mobilenet_v2',
    'num_classes': 27,
    'dropout': 0.0,
    'direction': 'past',
  },
}
DEFAULTS = {**models.DEFAULTS, 'num_classes': 400}


def checkpoint(name):
  """Weights for these keys, with PyTorch's counters."""
  all_shapes = torch_weights.official_shapes(name)
  weights = golden.weights(all_shapes)
  for key in all_shapes.keys() - weights.keys():
    weights[key] = np.zeros((), np.int64)
  return weights


@pytest.mark.parametrize('name', EXPECTED)
def test_every_kind_of_checkpoint_is_recognised_and_written_back(
  name, tmp_path
):
  # From a file as the authors' trainer saves it; that of the demo is bare.
  weights = checkpoint(name)
  content = {key: torch.from_numpy(value) for key, value in weights.items()}
  if not name.startswith('online'):
    content = {'epoch': 50, 'arch': 'resnet', 'state_dict': content}
  torch.save(content, tmp_path / 'ckpt.pth.tar')
  config, variables = convert.from_torch(tmp_path / 'ckpt.pth.tar')
  width = 64 if 'mbv2' in name else 8
  expected = {**DEFAULTS, 'width': width, 'depth': 50, **EXPECTED[name]}
  assert config == expected
  written = convert.to_torch(config, variables)
  assert written.keys() == weights.keys()
  for key in weights:
    assert written[key].dtype == weights[key].dtype
    np.testing.assert_array_equal(written[key], weights[key], err_msg=key)


def compute_logits(config, variables, frames):
  return jax.jit(models.create_model(config).apply)(variables, frames)


def assert_near(ours, theirs):
  """Deep random networks reach logits of 1000 and lose some digits."""
  np.testing.assert_allclose(
    ours, theirs, rtol=1e-4, atol=1e-4 * abs(theirs).max()
  )


@pytest.mark.parametrize(
  'name, overrides',
  [
    ('r34_shift', {'fold_div': 4}),
    ('r50_shift_block', {}),
    ('r50_tsn', {}),
    ('r50_flow', {'fold_div': 3}),
    ('r101_shift', {}),
  ],
)
def test_logits_equal_pytorch(name, overrides):
  shapes = golden.narrow(golden.shapes(name, 10))
  if name != 'r101_shift':  # which keeps all its blocks
    shapes = few_blocks(shapes)
    overrides = {**overrides, 'stage_sizes': (2, 1, 1, 1)}
  weights = torch_weights.without_module(golden.weights(shapes))
  config, variables = convert.from_torch(weights, **overrides)
  channels = {'rgb': 3, 'flow': 10}[config['modality']]
  frames = golden.frames(2, 4, 64, channels)
  theirs = torch_resnet.logits(weights, frames, config['fold_div'])
  assert_near(compute_logits(config, variables, frames), theirs)


def few_blocks(shapes):
  """Two blocks of the first stage, and one of every other."""
  pattern = r'layer1\.([2-9]|\d\d)\.|layer[234]\.([1-9]|\d\d)\.'
  return {k: v for k, v in shapes.items() if not re.search(pattern, k)}


def test_temporal_pool_equals_pytorch():
  shapes = golden.narrow(few_blocks(golden.shapes('r18_shift', 10)))
  weights = {
    k.replace('layer2.', 'layer2.net.'): v
    for k, v in torch_weights.without_module(golden.weights(shapes)).items()
  }
  config, variables = convert.from_torch(weights, stage_sizes=(2, 1, 1, 1))
  assert config['temporal_pool']
  written = torch_weights.without_module(convert.to_torch(config, variables))
  assert written.keys() >= weights.keys()
  frames = golden.frames(2, 4, 64)
  theirs = torch_resnet.logits(weights, frames)
  assert_near(compute_logits(config, variables, frames), theirs)


def test_tsn_and_tsm_share_their_weights():
  tsn = golden.weights(torch_weights.official_shapes('r50_tsn'))
  config, variables = convert.from_torch(tsn, shift='blockres', num_frames=16)
  assert config == {**DEFAULTS, 'depth': 50, 'num_frames': 16, 'width': 8}
  written = convert.to_torch(config, variables)
  assert {k.replace('.net.', '.') for k in written} >= tsn.keys()
  assert sum('.net.' in k for k in written) == 16
  back, _ = convert.from_torch(written, shift='none')
  assert back['shift'] == 'none'


def test_another_class_count_is_a_new_head(caplog):
  caplog.set_level('WARNING', logger='absl')  # a command silences it
  weights = golden.weights(torch_weights.official_shapes('r18_shift'))
  config, variables = convert.from_torch(weights, num_classes=27)
  assert config['num_classes'] == 27
  assert variables['params']['head']['kernel'].shape == (64, 27)
  assert 'classifier of 174 classes is dropped' in caplog.text


def test_all_that_does_not_fit_is_named_at_once():
  weights = torch_weights.small()
  weights.pop('module.base_model.bn1.bias')
  weights.pop('module.base_model.layer1.0.conv2.weight')
  weights['module.base_model.extra.weight'] = np.zeros((3, 4), np.float32)
  weights['module.base_model.bn1.weight'] = np.zeros(9, np.float32)
  with pytest.raises(ValueError) as error:
    convert.from_torch(weights, stage_sizes=(1,))
  text = str(error.value)
  missing, other, unknown = re.findall(
    r'(?:Missing|shape|known): (.*?)\.(?: |$)', text
  )
  assert missing == 'bn1.bias (8,), layer1.0.conv2.weight (8, 8, 3, 3)'
  assert other == 'bn1.weight (9,) for (8,)'
  assert unknown == 'module.base_model.extra.weight (3, 4)'


def test_what_is_wrong_is_said_in_one_sentence():
  weights = torch_weights.small()
  head = 'module.new_fc.bias'
  two_heads = {'module.base_model.fc.weight': np.zeros((5, 8), np.float32)}
  cases = (
    ({**weights, **two_heads}, {}, 'Two weights are for head.weight'),
    ({'encoder.weight': np.zeros((2, 2), np.float32)}, {}, 'no known network'),
    ({**weights, head: np.zeros(5, int)}, {}, r'new_fc.bias \(int64\)'),
    (weights, {'depth': 50}, 'do not fit resnet depth=50'),
    (weights, {'dept': 50}, r"no field 'model.dept'.*mean 'model.depth'"),
    (
      weights,
      {'stage_sizes': (1,), 'temporal_pool': True, 'num_frames': 5},
      r'frames is 5.*even',
    ),
    (
      weights,
      {'stage_sizes': (1,), 'modality': 'sound'},
      "modality is 'sound'",
    ),
  )
  for source, overrides, match in cases:
    with pytest.raises(ValueError, match=match):
      convert.from_torch(source, **overrides)
  shapes = torch_weights.official_shapes('r50_shift')
  moved = {
    k.replace('layer3.1.conv1.net', 'layer3.1.conv1'): v
    for k, v in shapes.items()
  }
  with pytest.raises(ValueError, match='not every n-th'):
    convert.from_torch(golden.weights(moved))
  one_not = {
    k.replace('layer3.1.net.', 'layer3.1.'): v
    for k, v in torch_weights.official_shapes('r50_shift_block').items()
  }
  with pytest.raises(ValueError, match="'block' shifts all"):
    convert.from_torch(golden.weights(one_not))


def test_training_equals_pytorch():
  # Two bottlenecks of a ResNet-50 with an eighth of its channels.
  shapes = {
    k: shape
    for k, shape in golden.narrow(golden.shapes('r50_shift', 5)).items()
    if not re.search(r'layer[34]|layer\d\.[1-9]', k)
  }
  shapes['module.new_fc.weight'] = (5, 64)
  weights = torch_weights.without_module(golden.weights(shapes))
  tensors = {k: torch.tensor(v) for k, v in weights.items()}
  learnt = {k: v for k, v in tensors.items() if 'running' not in k}
  for tensor in learnt.values():
    tensor.requires_grad_()
  frames, label = golden.frames(3, 4, 32), np.array([0, 3, 4])
  logits = torch_resnet.forward(tensors, frames, train=True)
  loss = torch.nn.functional.cross_entropy(logits, torch.tensor(label))
  loss.backward()

  config, variables = convert.from_torch(
    weights, dropout=0.0, stage_sizes=(1, 1)
  )
  model = models.create_model(config)

  def loss_of(params):
    logits, state = model.apply(
      {**variables, 'params': params}, frames, train=True, mutable='batch_stats'
    )
    log_probs = jax.nn.log_softmax(logits)
    return -log_probs[np.arange(3), label].mean(), state

  grad = jax.jit(jax.grad(loss_of, has_aux=True))
  gradient, state = grad(variables['params'])
  config['dropout'] = 0.5  # for the name of the head
  ours = torch_weights.without_module(
    convert.to_torch(config, {'params': gradient, **state})
  )
  for key, tensor in tensors.items():
    expected = tensor.detach() if 'running' in key else tensor.grad
    scale = float(expected.abs().max())
    np.testing.assert_allclose(
      ours[key], expected.numpy(), rtol=1e-4, atol=1e-4 * scale, err_msg=key
    )
