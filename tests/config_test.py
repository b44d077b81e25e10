import importlib.util

import pytest

from configs import jester, kinetics, quickstart, ssv1, ssv2, ucf101
from support import helpers
from tsm_jax import models
from tsm_jax.configs import common
from tsm_jax.configuration import flags
from tsm_jax.data import choosing
from tsm_jax.data.input import augment, preprocess, records

FILES = sorted(helpers.ROOT.glob('configs/*.py'))


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_every_config_loads_and_has_no_field_of_its_own(path):
  spec = importlib.util.spec_from_file_location(path.stem, path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  config = module.get_config()
  assert fields(config) == fields(common.get_config('any'))
  assert config.name == path.stem
  assert '--config configs/' in module.__doc__
  # The others have one recipe.
  if path.stem not in ('quickstart', 'quickstart_online', 'folder'):
    assert ':recipe=modern' in module.__doc__


def fields(config, prefix=''):
  names = set()
  for name, value in config.items():
    inner = hasattr(value, 'items')
    names |= fields(value, f'{prefix}{name}.') if inner else {prefix + name}
  return names


def test_the_learning_rate_follows_the_batch():
  config = common.get_config('any')
  assert config.learning_rate == 0.01  # batch 64, 0.02 for 128
  config.batch_size = 256
  assert config.learning_rate == 0.04
  assert config.eval.batch_size == 256
  config.eval.batch_size = 8
  assert (config.batch_size, config.learning_rate) == (256, 0.04)


def test_published_recipes():
  # Learning rate, batch, epochs, decay and schedule as the authors give them.
  def numbers(config):
    steps = config.schedule.milestones
    decay = config.optimizer.weight_decay
    rate = round(config.learning_rate, 6)
    return rate, config.batch_size, config.epochs, decay, steps

  config = kinetics.get_config()
  assert numbers(config) == (0.02, 128, 50, 1e-4, (20, 40))
  assert config.data.flip == 'on' and config.optimizer.clip_norm == 20
  config = kinetics.get_config('dense=True,non_local=True')
  assert numbers(config) == (0.01, 64, 100, 1e-4, (40, 80))
  assert config.data.sampling == 'dense' and config.model.non_local
  assert kinetics.get_config('shift=none').model.num_frames == 5
  config = ssv2.get_config('frames=16,depth=101')
  assert numbers(config) == (0.01, 64, 50, 5e-4, (20, 40))
  assert config.data.flip == 'off'
  assert (config.model.num_frames, config.model.depth) == (16, 101)
  assert ssv2.get_config('recipe=modern').data.flip == 'swap'
  config = ucf101.get_config()
  assert numbers(config) == (0.001, 64, 25, 5e-4, (10, 20))
  assert config.model.partial_bn and config.model.dropout == 0.8


@pytest.mark.parametrize(
  'arg',
  [
    None,
    'model=mobilenet_v2,direction=past',
    'modality=flow',
    'modality=flow,recipe=modern',
    'modality=rgb_diff,depth=101,frames=16',
    'model=bn_inception,shift=block',
    'model=bn_inception,shift=block,modality=flow',
  ],
)
@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_every_config_makes_a_model(path, arg):
  spec = importlib.util.spec_from_file_location(path.stem, path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  if path.stem in ('quickstart', 'quickstart_online', 'folder'):
    arg = 'shift=none' if arg else None
  config = module.get_config(arg)
  facts = choosing.Facts(300, ['a', 'b'], 'cpu')
  config, _ = choosing.choose(config, facts)
  model = models.create_model({**config.model, 'num_classes': 3})
  assert model.num_classes == 3
  preprocess.Preprocessing.from_config(config)
  augment.check(config)
  views = records.Views.from_config(config)
  assert views.clips == views.crops == 1


def test_what_a_network_looks_at():
  def look(arg):
    data = kinetics.get_config(arg).data
    return data.mean, data.std, data.divisor, data.channel_order, data.scales

  rgb, three = (1, 0.875, 0.75, 0.66), (1, 0.875, 0.75)
  mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
  assert look('') == (mean, std, 255, 'rgb', rgb)
  assert look('modality=flow') == ((0.5,), (0.226,), 255, 'rgb', three)
  assert look('modality=rgb_diff') == ((0.0,), (1.0,), 255, 'rgb', three)
  caffe = 'model=bn_inception,shift=block'
  assert look(caffe) == ((104, 117, 128), (1,), 1, 'bgr', rgb)
  assert look(f'{caffe},modality=flow') == ((128,), (1,), 1, 'rgb', three)
  modern = kinetics.get_config('modality=flow,recipe=modern')
  assert modern.data.randaugment_ops == 0 and modern.mixup_alpha == 0.2
  with pytest.raises(ValueError, match="modality is 'sound'; choose from 'rgb"):
    kinetics.get_config('modality=sound')


def test_arguments_change_the_config_and_its_name():
  config = quickstart.get_config('shift=none')
  assert config.model.shift == 'none'
  assert config.name == 'quickstart-shift=none'


def test_an_unknown_argument_suggests_the_nearest():
  with pytest.raises(ValueError, match=r"'shfit'; did you mean 'shift'"):
    quickstart.get_config('shfit=none')
  with pytest.raises(ValueError, match='must be of type int'):
    common.parse_arg('depth=x', depth=50)


def test_an_argument_is_true_or_false():
  for text, value in (('true', True), ('TRUE', True), ('False', False)):
    config = kinetics.get_config(f'dense={text},non_local={text}')
    assert config.model.non_local is value
    assert config.data.sampling == ('dense' if value else 'uniform')
  for text in ('1', 'yes', ''):
    message = f"argument dense is '{text}'; it must be True or False"
    with pytest.raises(ValueError, match=message):
      kinetics.get_config(f'dense={text}')


@pytest.mark.parametrize(
  ('name', 'expected'),
  [
    ('quickstart', set()),
    ('quickstart:shift=none', {'model.shift'}),
    ('quickstart:shift=blockres', {'model.shift'}),  # the default
    ('folder:frames=8', {'model.num_frames'}),
    ('folder:depth=0', set()),  # leaves it open
    ('kinetics:shift=none,frames=8', {'model.shift', 'model.num_frames'}),
    ('kinetics:non_local=False', {'model.non_local'}),
  ],
)
def test_a_given_argument_counts_where_it_is_the_default_too(name, expected):
  config, asked = flags.from_flags(name, [])
  assert asked - {'name'} == expected
  # What finds that out leaves no trace.
  kinds = {type(x).__module__ for x in config.model.values()}
  assert kinds == {'builtins'}


def test_what_follows_from_a_given_argument_counts(tmp_path):
  path = tmp_path / 'mine.py'
  path.write_text(
    'from tsm_jax.configs import common\n'
    'def get_config(arg=None):\n'
    '  args = common.parse_arg(arg, seconds=2, size={"a": 1}["a"], kind="x")\n'
    '  config = common.get_config("mine", arg)\n'
    '  config.model.num_frames = 4 * args.seconds\n'
    '  config.data.image_size = {1: 224}[args.size]\n'
    '  return config\n'
  )
  _, asked = flags.from_flags(f'{path}:seconds=2', [])
  assert asked - {'name'} == {'model.num_frames'}
  # A file that takes no other value works as well.
  config, _ = flags.from_flags(f'{path}:size=1', [])
  assert config.data.image_size == 224


def test_a_file_may_compute_with_a_field_that_has_an_argument(tmp_path):
  path = tmp_path / 'mine.py'
  path.write_text(
    'from tsm_jax.configs import common\n'
    'def get_config(arg=None):\n'
    '  args = common.parse_arg(arg, count=4)\n'
    '  config = common.get_config("mine", arg)\n'
    '  config.model.num_frames = args["count"]\n'
    '  config.model.num_frames += 8\n'
    '  return config\n'
  )
  config, asked = flags.from_flags(f'{path}:count=4', [])
  assert config.model.num_frames == 12
  assert asked - {'name'} == {'model.num_frames'}


def test_mobilenet_needs_less_decay_on_every_dataset():
  for module in (kinetics, ssv1, ssv2, jester):
    config = module.get_config('model=mobilenet_v2')
    assert config.optimizer.weight_decay == 4e-5
    assert (config.epochs, config.schedule.milestones) == (100, (40, 80))
  assert ssv1.get_config().optimizer.weight_decay == 5e-4
