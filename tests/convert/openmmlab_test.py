"""What OpenMMLab's trainer writes beside the weights, with its own names."""

import re

import numpy as np
import pytest

from support import golden, torch_weights
from tsm_jax import convert, errors

torch = pytest.importorskip('torch')
from support import torch_resnet  # noqa: E402  (imports torch)

# As `Config.pretty_text` writes it, with what matters left open.
TEXT = """
model = dict(
    type='Recognizer2D',
    backbone=dict(
        type='ResNetTSM',
        pretrained='torchvision://resnet50',
        depth=50,
        norm_eval=False,
        {backbone}
        shift_div={fold_div}),
    cls_head=dict(
        type='TSMHead', num_classes=400, consensus=dict(type='AvgConsensus')),
    train_cfg=None,
    test_cfg=dict(average_clips='prob'))
img_norm_cfg = dict(
    mean={mean}, std=[58.395, 57.12, 57.375], to_bgr=False)
test_pipeline = [
    dict(type='DecordInit'),
    dict(type='{sampling}', clip_len=1, frame_interval=1, num_clips=8),
    dict(type='Normalize', **img_norm_cfg)
]
lr_config = dict(policy='step', step=[20, 40])
"""


def config(backbone='', fold_div=8, sampling='SampleFrames', mean=None):
  mean = mean or [123.675, 116.28, 103.53]
  return TEXT.format(
    backbone=backbone, fold_div=fold_div, sampling=sampling, mean=mean
  )


def attention(mode, use_scale):
  return (
    'num_segments=8,\n'
    'non_local=((0, 0, 0), (1, 0, 1, 0), (1, 0, 1, 0, 1, 0), (0, 0, 0)),\n'
    '        non_local_cfg=dict(\n'
    f'            sub_sample=True, use_scale={use_scale},\n'
    "            norm_cfg=dict(type='BN3d', requires_grad=True),\n"
    f'            mode={mode!r}),'
  )


def official(name):
  weights = golden.weights(torch_weights.official_shapes(name))
  weights = torch_weights.without_module(weights)
  for key in [k for k in weights if k.endswith('.nl.W.0.bias')]:
    weights[key] = np.zeros_like(weights[key])  # theirs has none
  return weights


def openmmlab(name):
  theirs = torch_weights.openmmlab(official(name))
  return {
    k: torch.tensor(v)
    for k, v in theirs.items()
    if 'conv_out.conv.bias' not in k
  }


@pytest.fixture(scope='module')
def nl():
  return openmmlab('r50_shift_nl')


def read(folder, weights, meta=None, name='epoch_50.pth', **fields):
  folder.mkdir(exist_ok=True, parents=True)
  content = {'state_dict': weights, 'optimizer': {}}
  if meta is not None:
    content['meta'] = {'epoch': 50, 'iter': 1000, **meta}
  torch.save(content, folder / name)
  lines = []
  found = convert.read(folder / name, log=lines.append, **fields)
  return found, lines


@pytest.mark.parametrize('key', ['config', 'cfg'])
def test_dot_product_attention_is_known_by_the_configuration(tmp_path, nl, key):
  meta = {key: config(attention('dot_product', False))}
  with pytest.raises(
    errors.InputError, match="attention of mode='dot_product'"
  ):
    read(tmp_path, nl, meta)


@pytest.mark.parametrize('name', ['epoch_50.pth', 'latest.pth', 'mine.pth'])
def test_dot_product_attention_is_known_by_the_folder(tmp_path, nl, name):
  folder = tmp_path / 'tsm_nl_dot_product_r50_1x1x8_50e_kinetics400_rgb'
  with pytest.raises(errors.InputError, match='dot-product attention'):
    read(folder, nl, None, name)


def test_scaled_attention_gives_the_same_logits(tmp_path, nl):
  plain, lines = read(
    tmp_path, nl, {'config': config(attention('embedded_gaussian', False))}
  )
  assert not lines
  scaled, lines = read(
    tmp_path, nl, {'config': config(attention('embedded_gaussian', True))}
  )
  assert lines == [
    'The attention of the weights is scaled (use_scale=True): theta holds the '
    'scale from now on, which gives the same.'
  ]
  # By PyTorch, with the scale where OpenMMLab has it.
  clips = np.random.default_rng(0).normal(size=(1, 8, 32, 32, 3))
  clips = clips.astype(np.float32)
  block = 'layer2.0.nl.'
  w = {
    k.removeprefix('base_model.'): torch.tensor(v)
    for k, v in official('r50_shift_nl').items()
  }
  w['train'] = lambda name: False
  inner, channels = w[f'{block}theta.weight'].shape[:2]
  x = torch.tensor(clips[0, ..., :1]).permute(0, 3, 1, 2)[..., :8, :8]
  x = x.expand(-1, channels, -1, -1).cumsum(1) / channels
  expected = torch_resnet.non_local(
    x, {**w, 'attention_scale': inner**-0.5}, block, 8
  )
  unscaled = torch_resnet.non_local(x, w, block, 8)
  assert abs(expected - unscaled).max() > 1e-3
  back = convert.to_torch(scaled.config, scaled.variables)
  folded = {
    re.sub(r'^module\.base_model\.', '', k): torch.tensor(v)
    for k, v in back.items()
  }
  found = torch_resnet.non_local(
    x, {**folded, 'train': lambda name: False}, block, 8
  )
  np.testing.assert_allclose(found, expected, atol=1e-5)
  theta = plain.variables['params']['layer3_4_nl']['theta']['kernel']
  np.testing.assert_allclose(
    scaled.variables['params']['layer3_4_nl']['theta']['kernel'],
    theta / np.sqrt(theta.shape[1]),
    rtol=1e-6,
  )


def test_what_nothing_tells_of_attention_is_said(tmp_path, nl):
  _, lines = read(tmp_path, nl, {})
  (line,) = [x for x in lines if 'assumed' in x]
  assert line == (
    'Neither the name of the file nor a configuration in it tells all; '
    "assumed: style='pytorch' and attention of mode='embedded_gaussian' and "
    'use_scale=False.'
  )
  _, lines = read(tmp_path / 'tsm_nl_r50_1x1x8_50e_kinetics400_rgb', nl)
  (line,) = [x for x in lines if 'assumed' in x]
  assert 'use_scale=False' in line and 'style' not in line
  folder = tmp_path / 'tsm_nl_embedded_gaussian_r50_1x1x8_50e_kinetics400_rgb'
  _, lines = read(folder, nl)
  assert not any('assumed' in line for line in lines)


def renamed(weights, pattern, replacement):
  return {re.sub(pattern, replacement, k): v for k, v in weights.items()}


def test_other_kinds_of_blocks_are_known_by_their_names(tmp_path, nl):
  without = {k: v for k, v in nl.items() if not re.search('theta|phi', k)}
  for weights, message in (
    (without, "mode='gaussian', without theta"),
    (renamed(nl, r'\.g\.0\.conv', '.g.conv'), 'sub_sample=False'),
    (
      renamed(nl, r'(block)\.g\.0\.conv\.bias', r'\1.concat_project.conv.bias'),
      "mode='concatenation'",
    ),
  ):
    with pytest.raises(errors.InputError, match=message):
      read(tmp_path, weights)


def test_the_style_of_caffe_is_refused(tmp_path):
  weights = openmmlab('r50_shift')
  meta = {'config': config("style='caffe',")}
  with pytest.raises(
    errors.InputError, match="style='caffe', where the stride"
  ):
    read(tmp_path, weights, meta)
  folder = tmp_path / 'tsm_r50_caffe_1x1x8_50e_kinetics400_rgb'
  with pytest.raises(errors.InputError, match="style='caffe', by its name"):
    read(folder, weights)
  # Basic blocks are the same in both styles.
  found, _ = read(tmp_path, openmmlab('r18_shift'), meta)
  assert found.config['depth'] == 18


def test_fields_and_preprocessing_of_the_configuration(tmp_path):
  weights = openmmlab('r18_shift')
  text = config('num_segments=16,', 4, 'DenseSampleFrames')
  found, lines = read(tmp_path, weights, {'config': text})
  assert not lines
  assert (found.config['num_frames'], found.config['fold_div']) == (16, 4)
  assert found.data == {'sampling': 'dense'}
  read_again, lines = read(tmp_path, weights, {'config': config()})
  assert read_again.config['num_frames'] == 8 and not lines  # their default
  text = config(mean=[127.5, 127.5, 127.5])
  found, _ = read(tmp_path, weights, {'config': text})
  assert found.data == {'sampling': 'uniform', 'mean': (0.5, 0.5, 0.5)}
  # The name says something else: the file itself is believed, and it is said.
  name = 'tsm_r18_1x1x8_50e_kinetics400_rgb.pth'
  text = config('num_segments=16,')
  found, lines = read(tmp_path, weights, {'config': text}, name)
  assert found.config['num_frames'] == 16
  assert lines == [
    'The name of the file says num_frames=8, the configuration in it 16, which '
    'is used.'
  ]


def test_names_of_classes_come_from_the_file(tmp_path):
  weights = openmmlab('r18_shift')
  names = [f'class {i}' for i in range(174)]
  for meta in ({'CLASSES': names}, {'dataset_meta': {'classes': tuple(names)}}):
    assert read(tmp_path, weights, meta)[0].labels == names
  for meta in ({}, {'CLASSES': None}, {'CLASSES': names[1:]}):
    assert read(tmp_path, weights, meta)[0].labels is None


def test_averages_of_their_hook_are_left_out(tmp_path):
  weights = openmmlab('r18_shift')
  kernel = weights['backbone.conv1.conv.weight']
  both = {**weights, 'ema_backbone_conv1_conv_weight': kernel + 1}
  found, lines = read(tmp_path, both)
  torch_weights.assert_same(found[:2], read(tmp_path, weights)[0][:2])
  assert 'left out: ema_backbone_conv1_conv_weight.' in '\n'.join(lines)
