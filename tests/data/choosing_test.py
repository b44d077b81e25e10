"""What suits clips of one's own: by their number, their classes, the device."""

import pytest

from tsm_jax import configuration, errors
from tsm_jax.configuration import flags
from tsm_jax.data import choosing

LABELS = ['jump', 'run']
WEIGHTS = {'name': 'resnet', 'depth': 34, 'width': 64, 'fold_div': 8}


def folder(*overrides):
  config = configuration.load('folder')
  return flags.override(config, [f'--config.{o}' for o in overrides])[0]


def chosen(config, clips, platform='cpu', weights=None, labels=LABELS, **more):
  facts = choosing.Facts(clips, labels, platform, weights, **more)
  config, choices = choosing.choose(config, facts)
  assert not choosing.open_fields(config)
  assert all(choice.reason for choice in choices.values())
  return config


@pytest.mark.parametrize(
  'clips, platform, weights, depth, width, size, side, rate, head',
  [
    (300, 'cpu', None, 18, 32, 72, 84, 0.02, 1.0),
    (300, 'gpu', None, 18, 64, 112, 128, 0.02, 1.0),
    (9000, 'tpu', None, 50, 64, 224, 256, 0.02, 1.0),
    (300, 'cpu', WEIGHTS, 34, 64, 112, 128, 0.0025, 5.0),
    (300, 'gpu', WEIGHTS, 34, 64, 224, 256, 0.0025, 5.0),
  ],
)
def test_network_size_and_rate(
  clips, platform, weights, depth, width, size, side, rate, head
):
  config = chosen(folder(), clips, platform, weights)
  assert (config.model.depth, config.model.width) == (depth, width)
  assert (config.data.image_size, config.data.short_side) == (size, side)
  assert config.learning_rate == pytest.approx(rate)  # of 16 clips
  assert config.optimizer.head_scale == head
  small = platform == 'cpu' and not weights
  assert config.model.stage_sizes == ((1, 1, 1, 1) if small else ())


def test_what_was_set_stays_and_the_rest_follows_it():
  config = folder('data.image_size=224', 'epochs=3', 'batch_size=32')
  config = chosen(config, 300)
  assert config.data.image_size == 224 and config.data.short_side == 256
  assert config.epochs == 3
  assert config.schedule.warmup_epochs == pytest.approx(0.3)
  assert config.learning_rate == pytest.approx(0.04)  # twice the batch
  config = chosen(folder('learning_rate=0.5', 'data.flip=off'), 300)
  assert config.learning_rate == 0.5 and config.data.flip == 'off'


def test_a_run_on_a_cpu_takes_a_quarter_of_an_hour():
  for clips in (300, 500, 800):
    config = chosen(folder(), clips)
    assert 13 * 60 < choosing.seconds_on_cpu(config, clips) <= 15 * 60
  # Twice the sides are four times the work: as many fewer epochs.
  small, large = (
    chosen(folder(f'data.image_size={size}'), 400) for size in (64, 128)
  )
  assert small.epochs / large.epochs == pytest.approx(4, rel=0.1)
  assert chosen(folder(), 108).epochs == 60
  assert chosen(folder(), 20).epochs == 300  # 6,000 clips in all
  # Many clips are seen often enough all the same; a few not for ever.
  assert chosen(folder(), 100_000).epochs == 10
  assert chosen(folder(), 10).epochs == 400


def test_epochs_elsewhere():
  assert chosen(folder(), 100, 'gpu').epochs == 200  # 20,000 clips in all
  assert chosen(folder(), 10_000, 'gpu').epochs == 50
  assert chosen(folder(), 100, 'tpu', WEIGHTS).epochs == 100
  assert chosen(folder(), 10_000, 'tpu', WEIGHTS).epochs == 25


@pytest.mark.parametrize(
  'labels, flip',
  [
    (['jump', 'run'], 'on'),
    (['turn left', 'turn right'], 'swap'),
    (['clockwise', 'counter-clockwise', 'none'], 'swap'),
    (['left over', 'all right'], 'swap'),
  ],
)
def test_mirrors_are_on_unless_classes_name_a_side(labels, flip):
  assert chosen(folder(), 300, labels=labels).data.flip == flip


def test_small_videos_and_clips_that_are_built_are_taken_as_they_are():
  config = chosen(folder(), 300, short_side=60)
  assert (config.data.image_size, config.data.short_side) == (56, 64)
  assert chosen(folder(), 300, short_side=8).data.image_size == 32
  assert chosen(folder(), 300, short_side=480).data.image_size == 72
  stored = {'short_side': 256}
  config = chosen(folder(), 300, short_side=256, stored=stored)
  assert (config.data.image_size, config.data.short_side) == (72, 256)


def test_what_is_open_and_what_is_not():
  assert not choosing.open_fields(configuration.load('ssv2'))
  config = folder('data.image_size=64')
  assert 'data.image_size' not in choosing.open_fields(config)
  assert 'learning_rate' not in choosing.open_fields(config)  # it follows
  assert chosen(configuration.load('ssv2'), 300).data.flip == 'off'
  with pytest.raises(errors.InputError, match='None: a run chooses what'):
    choosing.require(config, 'data.short_side')
  choosing.require(config, 'data.image_size')  # it was given
  choosing.require(configuration.load('ssv2'), 'data.short_side')
  with config.data.ignore_type():
    config.data.quality = None
  with pytest.raises(errors.InputError, match=r'data\.quality is None; give'):
    chosen(config, 300)


@pytest.mark.parametrize(
  'override, message',
  [
    ('epochs=many', 'epochs'),
    ('model.depth=deep', 'depth'),
    ('data.short_side=1.5', 'short_side'),
  ],
)
def test_an_open_field_has_its_type(override, message):
  with pytest.raises(errors.InputError, match=message):
    folder(override)
  field, _, value = override.partition('=')
  with pytest.raises(errors.InputError, match=r'of type (int|float)'):
    configuration.change(configuration.load('folder'), {field: value})


@pytest.mark.parametrize('platform', ['cpu', 'gpu'])
def test_what_only_a_resnet_has_is_not_chosen_for_others(platform):
  config = chosen(folder('model.name=mobilenet_v2'), 300, platform)
  model = config.model
  assert (model.stage_sizes, model.width, model.fold_div) == ((), 64, 8)
  config = configuration.load('folder:shift=block')
  config.model.name = 'bn_inception'  # it takes multiples of 32
  size = chosen(config, 300, platform).data.image_size
  assert size == (96 if platform == 'cpu' else 128)
  assert chosen(config, 300, platform, short_side=80).data.image_size == 64


@pytest.mark.parametrize('epochs', ['nan', 'inf'])
def test_epochs_that_are_no_number_are_a_sentence(epochs):
  with pytest.raises(errors.InputError, match=f'epochs is {epochs}; it must'):
    chosen(folder(f'epochs={epochs}'), 300)
