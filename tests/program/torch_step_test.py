"""Steps of training against PyTorch's, with the official parameter groups."""

import re

import jax
import ml_collections
import numpy as np
import pytest

from support import golden
from tsm_jax import convert, models, train
from tsm_jax.program import optim

torch = pytest.importorskip('torch')
from support import torch_resnet  # noqa: E402  (imports torch)

LEARNING_RATE, DECAY, CLIP = 0.05, 1e-2, 20.0
NUM_CLASSES = 5


@pytest.fixture(autouse=True)
def two_threads():
  """With one, a convolution rounds to the other side of a maximum."""
  before = torch.get_num_threads()
  torch.set_num_threads(2)
  yield
  torch.set_num_threads(before)


def small(name, head):
  """Weights of two bottlenecks with an eighth of the channels of ResNet-50.

  The larger `head`, the factor of the classifier, the larger is the gradient.
  """
  shapes = {
    k.removeprefix('module.'): tuple(n // 8 if n >= 64 else n for n in shape)
    for k, shape in golden.shapes(name, NUM_CLASSES).items()
    if not re.search(r'layer[34]|layer\d\.[1-9]', k)
  }
  shapes['new_fc.weight'] = (NUM_CLASSES, 64)
  weights = golden.weights(shapes)
  weights['new_fc.weight'] *= head
  for key in weights:
    if '.nl.W.1.' in key and 'running' not in key:
      weights[key] *= 0.1  # nearly the identity, as at the start of training
  return weights


def official_groups(tensors, modality, partial_bn):
  """`{name: (rate, decay)}` by the official walk over the modules.

  Unlike there, the norm of a non-local block is trained with partial BN.
  """
  flow = 5 if modality == 'flow' else 1
  groups = {}
  for name in tensors:
    module, _, leaf = name.rpartition('.')
    bias = leaf == 'bias'
    if 'running' in leaf:
      continue
    if f'{module}.running_mean' in tensors:
      kept = module == 'base_model.bn1' or '.nl.' in module
      groups[name] = (1, 0) if kept or not partial_bn else None
    elif name.startswith('new_fc'):
      groups[name] = (10, 0) if bias else (5, 1)
    elif module == 'base_model.conv1':
      groups[name] = (2 * flow, 0) if bias else (flow, 1)
    else:
      groups[name] = (2, 0) if bias else (1, 1)
  return groups


def torch_steps(weights, frames, label, groups, partial_bn, steps):
  """The weights after steps of `torch.optim.SGD`, and the gradient's norms."""
  tensors = {k: torch.tensor(v) for k, v in weights.items()}
  learnt = {k: tensors[k].requires_grad_() for k, g in groups.items() if g}
  optimizer = torch.optim.SGD(
    [
      {
        'params': [tensor],
        'lr': LEARNING_RATE * groups[k][0],
        'weight_decay': DECAY * groups[k][1],
      }
      for k, tensor in learnt.items()
    ],
    lr=LEARNING_RATE,
    momentum=0.9,
  )
  norms = []
  for _ in range(steps):
    optimizer.zero_grad()
    logits = torch_resnet.forward(
      tensors,
      frames,
      train=lambda name: not partial_bn or name == 'bn1' or '.nl.' in name,
    )
    torch.nn.functional.cross_entropy(logits, torch.tensor(label)).backward()
    norms.append(torch.nn.utils.clip_grad_norm_(learnt.values(), CLIP).item())
    optimizer.step()
  return {k: v.detach().numpy() for k, v in tensors.items()}, norms


@pytest.mark.parametrize(
  ('name', 'partial_bn', 'clips'),
  [
    ('r50_shift', False, True),
    ('r50_shift', True, False),
    ('r50_shift_nl', True, True),
    ('r50_flow', False, True),
  ],
)
def test_two_steps_equal_pytorch(name, partial_bn, clips):
  weights = small(name, 30 if clips else 1)
  rng = np.random.RandomState(0)
  config, variables = convert.from_torch(
    weights, dropout=0.0, partial_bn=partial_bn, stage_sizes=(1, 1)
  )
  channels = 10 if config['modality'] == 'flow' else 3
  pixels = rng.randint(256, size=(3, 4, 32, 32, channels)).astype(np.uint8)
  label = np.array([0, 3, 4])
  data = {
    'mean': (0.45,),
    'std': (0.23,),
    'divisor': 255.0,
    'channel_order': 'rgb',
    'flip': 'off',
  }
  frames = ((pixels / 255 - 0.45) / 0.23).astype(np.float32)

  groups = official_groups(weights, config['modality'], partial_bn)
  expected, norms = torch_steps(weights, frames, label, groups, partial_bn, 2)
  assert clips == (norms[0] > CLIP)

  model = models.create_model(config)
  tx = optim.create_optimizer(
    variables['params'],
    lambda step: LEARNING_RATE,
    {
      'momentum': 0.9,
      'weight_decay': DECAY,
      'clip_norm': CLIP,
      'head_scale': 5.0,
    },
    {'modality': config['modality'], 'partial_bn': partial_bn},
  )
  state = train.TrainState(
    step=np.int32(0), opt_state=tx.init(variables['params']), **variables
  )
  step = jax.jit(
    train.make_train_step(
      model,
      tx,
      ml_collections.ConfigDict(
        {
          'accumulation': 1,
          'fsdp': False,
          'label_smoothing': 0.0,
          'ema_decay': 0.0,
          'mixup_alpha': 0.0,
          'cutmix_alpha': 0.0,
          'erase_probability': 0.0,
          'data': data,
          'model': config,
        }
      ),
    )
  )
  for _ in range(2):
    batch = {'frames': pixels, 'label': label}
    state, _ = step(state, batch, jax.random.key(0))
  config['dropout'] = 0.5  # for the name of the head
  ours = convert.to_torch(
    config, {'params': state.params, 'batch_stats': state.batch_stats}
  )
  for key, value in expected.items():
    np.testing.assert_allclose(
      ours[f'module.{key}'],
      value,
      rtol=1e-5,
      atol=1e-5 * abs(value).max(),
      err_msg=key,
    )
    if 'running' not in key and groups[key] is None:
      np.testing.assert_array_equal(ours[f'module.{key}'], weights[key])
