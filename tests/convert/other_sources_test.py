"""Weights of OpenMMLab and of torchvision's ImageNet models."""

import re

import numpy as np
import pytest

from support import golden, torch_weights
from tsm_jax import convert, models
from tsm_jax.convert import naming

DEFAULTS = {**models.DEFAULTS, 'num_classes': 400}


def test_openmmlab_names_of_a_deep_resnet():
  official = torch_weights.without_module(golden.shapes('r101_shift'))
  theirs = torch_weights.openmmlab(
    official
  )  # a mapping from their names to the shapes
  names = naming.official(theirs)
  assert names.keys() == theirs.keys()
  found = {names[k]: shape for k, shape in theirs.items()}
  assert found == {
    k.removeprefix('base_model.'): shape for k, shape in official.items()
  }
  assert 'layer3.2.conv1.net.weight' in found
  assert 'layer3.1.conv1.weight' in found


@pytest.mark.parametrize('name', ['r50_shift_nl', 'r50_shift_block'])
def test_openmmlab_resnet(name):
  official = torch_weights.without_module(
    golden.weights(torch_weights.official_shapes(name))
  )
  theirs = torch_weights.openmmlab(official)
  assert 'backbone.layer1.0.conv2.bn.running_var' in theirs or 'block' in name
  for key in [k for k in official if k.endswith('.nl.W.0.bias')]:
    # Their last product in the attention has no bias.
    official[key] = np.zeros_like(official[key])
    (theirs_key,) = torch_weights.openmmlab({key: None})
    del theirs[theirs_key]
  torch_weights.assert_same(
    convert.from_torch(theirs), convert.from_torch(official)
  )


def openmmlab_mobilenet(name, names):
  """The name in mmaction2's MobileNetV2TSM, where stages are apart."""
  match = re.match(r'base_model\.features\.(\d+)\.(?:conv\.)?(\d)\.(.*)', name)
  if not match:
    return name.replace('new_fc', 'cls_head.fc_cls')
  block, position, leaf = int(match[1]), int(match[2]), match[3]
  kind = 'conv' if position % 3 == 0 else 'bn'
  leaf = leaf.split('.')[-1]
  if block in (0, 18):
    return f'backbone.conv{1 if block == 0 else 2}.{kind}.{leaf}'
  sizes = (1, 2, 3, 4, 3, 3, 1)
  stage = sum(block > sum(sizes[:i]) for i in range(1, 8)) + 1
  start = f'backbone.layer{stage}.{block - sum(sizes[: stage - 1]) - 1}'
  # Theirs wraps the first convolution together with its norm.
  shifted = f'base_model.features.{block}.conv.0.net.weight' in names
  net = '.net' if shifted and position < 2 else ''
  return f'{start}.conv.{position // 3}{net}.{kind}.{leaf}'


def test_openmmlab_mobilenet():
  official = torch_weights.without_module(
    golden.weights(golden.shapes('mbv2_shift_dropout'))
  )
  theirs = {openmmlab_mobilenet(k, official): v for k, v in official.items()}
  assert 'backbone.layer2.1.conv.0.net.bn.running_mean' in theirs
  assert 'backbone.layer1.0.conv.1.conv.weight' in theirs
  torch_weights.assert_same(
    convert.from_torch(theirs), convert.from_torch(official)
  )


def imagenet(name):
  """torchvision's names, with their 1000 classes, for the authors' shapes."""
  found = {}
  for key, shape in torch_weights.official_shapes(name, 1000).items():
    key = re.sub(r'^module\.(base_model\.)?', '', key).replace('.net.', '.')
    found[key.replace('new_fc', 'fc')] = shape
  return golden.weights(found)


def test_imagenet_resnet_is_an_initialisation():
  weights = imagenet('r50_shift')
  with pytest.raises(ValueError, match='give num_classes'):
    convert.from_torch(weights)
  config, variables = convert.from_torch(weights, num_classes=27)
  assert config == {**DEFAULTS, 'depth': 50, 'num_classes': 27, 'width': 8}
  params = variables['params']
  np.testing.assert_array_equal(
    params['layer3_5']['conv3']['kernel'][0, 0],
    weights['layer3.5.conv3.weight'][:, :, 0, 0].T,
  )
  # The new head is drawn as in training from scratch: N(0, 0.001), bias 0.
  assert params['head']['kernel'].shape == (256, 27)
  assert 0.0009 < params['head']['kernel'].std() < 0.0011
  assert not params['head']['bias'].any()


def test_imagenet_for_flow_and_non_local():
  weights = imagenet('r50_shift')
  config, variables = convert.from_torch(
    weights, num_classes=5, modality='flow', non_local=True
  )
  assert config['modality'] == 'flow' and config['non_local']
  stem = variables['params']['conv1']['kernel']
  mean = weights['conv1.weight'].mean(axis=1)  # of RGB, not rescaled
  assert stem.shape == (7, 7, 10, 8)
  for channel in range(10):
    np.testing.assert_array_equal(stem[:, :, channel], mean.transpose(1, 2, 0))
  new = variables['params']['layer3_4_nl']
  assert not new['out_bn']['scale'].any()
  assert new['theta']['kernel'].any()


def test_imagenet_mobilenet():
  names = {}
  for key in golden.shapes('mbv2_shift_dropout0'):
    plain = re.sub(r'^module\.base_model\.', '', key).replace('.net.', '.')
    theirs = plain.replace('classifier.', 'classifier.1.')
    if match := re.match(r'features\.(\d+)\.conv\.(\d)\.(.*)', plain):
      places = ['0.0', '0.1', '', '1.0', '1.1', '', '2', '3']
      if match[1] == '1':
        places = ['0.0', '0.1', '', '1', '2']
      place = places[int(match[2])]
      theirs = f'features.{match[1]}.conv.{place}.{match[3]}'
    names[plain] = theirs
  weights = imagenet('mbv2_shift_dropout0')
  theirs = {names[k]: v for k, v in weights.items()}
  assert 'features.17.conv.2.weight' in theirs
  one = convert.from_torch(theirs, num_classes=27)
  assert one[0] == {
    **DEFAULTS,
    'depth': 50,
    'name': 'mobilenet_v2',
    'num_classes': 27,
  }
  # The authors' own ImageNet file has the flat names.
  torch_weights.assert_same(one, convert.from_torch(weights, num_classes=27))
