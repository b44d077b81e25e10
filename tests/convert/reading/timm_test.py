from tsm_jax.convert import naming
from tsm_jax.convert.reading import timm

# Blocks of each stage of mobilenetv2_100.
SIZES = (1, 2, 3, 4, 3, 3, 1)


def blocks(sizes=SIZES):
  for stage, size in enumerate(sizes):
    for index in range(size):
      layers = ('conv_pw', 'bn1', 'conv_dw', 'bn2')
      layers += ('conv_pwl', 'bn3') if stage else ()
      for layer in layers:
        yield f'blocks.{stage}.{index}.{layer}.weight'


def test_names_of_mobilenet_v2():
  ends = ['conv_stem.weight', 'bn1.bias', 'conv_head.weight', 'bn2.running_var']
  found = naming.official([*ends, *blocks(), 'classifier.weight'])
  for name, official in (
    ('conv_stem.weight', 'features.0.0.weight'),
    ('bn1.bias', 'features.0.1.bias'),
    ('blocks.0.0.conv_dw.weight', 'features.1.conv.0.weight'),
    ('blocks.0.0.conv_pw.weight', 'features.1.conv.3.weight'),
    ('blocks.0.0.bn2.weight', 'features.1.conv.4.weight'),
    ('blocks.1.0.conv_pw.weight', 'features.2.conv.0.weight'),
    ('blocks.5.2.conv_dw.weight', 'features.16.conv.3.weight'),
    ('blocks.6.0.conv_pwl.weight', 'features.17.conv.6.weight'),
    ('blocks.6.0.bn3.weight', 'features.17.conv.7.weight'),
    ('conv_head.weight', 'features.18.0.weight'),
    ('bn2.running_var', 'features.18.1.running_var'),
    ('classifier.weight', 'classifier.weight'),
  ):
    assert found[name] == official
  assert len(set(found.values())) == len(found)


def test_other_networks_have_other_blocks():
  assert timm.is_mobilenet_v2([*blocks()])
  assert not timm.is_mobilenet_v2([*blocks((1, 2, 3, 4, 3, 3, 2))])
  assert not timm.is_mobilenet_v2(
    [*blocks(), 'blocks.1.0.se.conv_reduce.weight']
  )
