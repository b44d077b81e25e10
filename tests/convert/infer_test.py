import re

import pytest

from support import golden, torch_weights
from tsm_jax import convert, errors
from tsm_jax.convert import file_names

torch = pytest.importorskip('torch')


def test_names_of_files():
  for name, expected in (
    ('TSM_kinetics_RGB_resnet50_avg_segment5_e50.pth', {'num_frames': 5}),
    (
      'TSM_something_RGB_resnet101_shift8_blockres_avg_segment8_e45.pth',
      {'num_frames': 8, 'fold_div': 8},
    ),
    (
      'tsm_imagenet-pretrained-r50_8xb16-1x1x16-50e_kinetics400-rgb.pth',
      {'num_frames': 16},
    ),
    ('TSM_x_RGB_resnet50_shift8_block_tpool_avg_segment8_e1.pth', {
      'num_frames': 8, 'fold_div': 8, 'temporal_pool': True,
    }),
    ('temporal-shift-module.pth', {}),
    ('tsm_r50_1x1x16_50e_sthv2_rgb_x.pth', {'num_frames': 16}),
    ('tsm_r50_256p_1x1x16_50e_kinetics400_rgb_x.pth', {'num_frames': 16}),
  ):  # fmt: skip
    assert file_names.from_file_name(name, 'resnet') == expected
  with pytest.raises(ValueError, match='dot-product'):
    file_names.from_file_name('tsm_r50-nl-dot-product_1x1x8.pth', 'resnet')
  # Their weights have the names and shapes of a ResNet-50.
  for name in ('resnetblur50-84f4748f.pth', 'seresnextaa101d_32x8d.bin'):
    with pytest.raises(errors.InputError, match='instead of a stride'):
      file_names.from_file_name(name, 'resnet')
  assert file_names.from_file_name('resnet50aachen.pth', 'resnet') == {}


def test_dense_sampling_is_read_from_names_of_files():
  for name in (
    'TSM_kinetics_RGB_resnet50_shift8_blockres_avg_segment8_e100_dense.pth',
    'TSM_kinetics_RGB_resnet50_shift8_blockres_avg_segment8_e100_dense_nl.pth',
    'TSM_kinetics_RGB_resnet50_shift8_blockres_avg_segment8_e100_dense',
    'tsm_r50_dense_256p_1x1x8_100e_kinetics400_rgb_x.pth',
    'tsm_imagenet-pretrained-r50_8xb16-dense-1x1x8-100e_kinetics400-rgb.pth',
  ):
    assert file_names.sampling_from_name(name) == 'dense'
  for name in (
    'TSM_kinetics_RGB_resnet50_shift8_blockres_avg_segment8_e50.pth',
    'tsm_densenet_1x1x8_100e_kinetics400_rgb.pth',
    'condensed.pth',
  ):
    assert file_names.sampling_from_name(name) == 'uniform'


def test_every_third_block_is_read_from_the_names():
  shapes = {
    re.sub(r'(layer\d\.[1245]\.conv1)\.net', r'\1', k): v
    for k, v in golden.narrow(golden.shapes('r50_shift')).items()
  }
  weights = golden.weights(shapes)
  config, variables = convert.from_torch(weights)
  assert config['shift_every'] == 3
  assert convert.to_torch(config, variables).keys() >= weights.keys()


def without(pattern, weights):
  return {k: v for k, v in weights.items() if not re.search(pattern, k)}


def test_a_resnet_of_no_published_depth_must_be_meant():
  weights = golden.weights(golden.narrow(golden.shapes('r50_shift')))
  for pattern, sizes in (
    (r'layer4\.2\.', '(3, 4, 6, 2)'),
    (r'layer4\.', '(3, 4, 6)'),
    (r'layer1\.', '(0, 4, 6, 3)'),
  ):
    with pytest.raises(errors.InputError) as refused:
      convert.from_torch(without(pattern, weights))
    text = str(refused.value)
    assert f'{sizes} bottleneck blocks per stage' in text
    assert '50 has (3, 4, 6, 3), 101 has (3, 4, 23, 3)' in text
    assert f'give stage_sizes={sizes}' in text
  # Who says what it should be is told what is missing.
  cut = without(r'layer4\.2\.', weights)
  for field in ({'depth': 50}, {'stage_sizes': (3, 4, 6, 3)}):
    with pytest.raises(errors.InputError, match=r'Missing: layer4\.2\.bn1'):
      convert.from_torch(cut, **field)
  config, _ = convert.from_torch(cut, stage_sizes=(3, 4, 6, 2))
  assert (config['depth'], config['stage_sizes']) == (50, (3, 4, 6, 2))


@pytest.mark.parametrize(
  ('name', 'network', 'stem'),
  [
    ('r18_shift', 'ResNet', 'conv1.weight'),
    ('mbv2_shift_dropout', 'MobileNetV2', 'features.0.0.weight'),
  ],
)
def test_without_its_first_convolution_a_network_is_still_known(
  name, network, stem
):
  weights = golden.weights(golden.shapes(name))
  del weights[f'module.base_model.{stem}']
  with pytest.raises(errors.InputError) as refused:
    convert.from_torch(weights)
  assert str(refused.value) == (
    f'The weights are of a {network}, but its first convolution, {stem}, is '
    f'missing.'
  )


def test_what_the_name_of_a_bn_inception_does_not_tell_is_asked_for():
  def told(name):
    return file_names.from_file_name(name, 'bn_inception').get('shift')

  start = 'TSM_ucf101_RGB_BNInception'
  assert told(f'{start}_avg_segment3_e120.pth') == 'none'
  assert told(f'{start}_shift8_block_avg_segment3_e120.pth') == 'block'
  assert told(f'{start}_shift8_011111111111_avg_segment3_e1.pth') == '0' + (
    '1' * 11
  )
  # The authors' network does not run with these: what was meant is not known.
  assert told(f'{start}_shift8_01110_avg_segment3_e120.pth') is None
  assert told(f'{start}_shift8_blockres_avg_segment3_e120.pth') is None


def test_one_direction_has_an_official_form_only_as_the_online_demo():
  weights = golden.weights(golden.shapes('mbv2_shift_dropout'))
  config, variables = convert.from_torch(
    weights, shift='none', direction='past'
  )
  written = convert.to_torch(config, variables)
  assert all(k.startswith('module.') for k in written)
  back, _ = convert.from_torch(written)
  assert (back['shift'], back['direction']) == ('none', 'both')
  lines = []
  convert.to_torch({**config, 'shift': 'blockres'}, variables, log=lines.append)
  assert not lines

  config, variables = convert.from_torch(
    torch_weights.small(), stage_sizes=(1,), direction='past'
  )
  convert.to_torch(config, variables, log=lines.append)
  (line,) = lines
  assert line == (
    "A resnet with direction='past' has no official form: the file looks like "
    'one of both directions, and whoever reads it must give '
    "direction='past'."
  )
