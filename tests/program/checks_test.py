"""Every field of a configuration is checked before data is built."""

import jax
import pytest

from support import helpers
from tsm_jax import errors, sharding
from tsm_jax.program import checks


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'checkpoint__every_steps': 0}, 'every_steps is 0; it must be at least 1'),
    ({'checkpoint__keep': 0}, 'checkpoint.keep is 0; it must be at least 1'),
    ({'checkpoint__keep_best': -1}, 'keep_best is -1; it must be at least 0'),
    ({'ema_decay': 1.0}, r'ema_decay is 1.0; it must be in \[0, 1\)'),
    ({'eval__precise_bn_batches': -1}, 'precise_bn_batches is -1'),
    ({'stall_seconds': -1.0}, 'stall_seconds is -1'),
    ({'optimizer__clip_norm': -1.0}, 'optimizer.clip_norm is -1'),
    (
      {'label_smoothing': 1.5},
      'label_smoothing is 1.5; it must be from 0',
    ),
    ({'eval__every_epochs': -1.0}, 'eval.every_epochs is -1.0'),
    ({'seed': -1}, 'seed is -1; it must be from 0 to'),
    ({'epochs': 1e308}, r'epochs is 1e\+308; it must be at most 1e\+09'),
    ({'epochs': float('inf')}, 'epochs is inf; it must be finite'),
    ({'learning_rate': float('nan')}, 'learning_rate is nan; it must be fin'),
    ({'mixup_alpha': float('nan')}, 'mixup_alpha is nan'),
    ({'eval__split': 'vall'}, "eval.split is 'vall'; choose from train, val"),
    (
      {'model__bn_stats': 'ghost', 'model__ghost_clips': 3},
      'ghost_clips is 3, which does not divide the batch of 8',
    ),
    ({'log_every_steps': 0}, 'log_every_steps is 0; it must be above 0'),
    ({'schedule__kind': 'linear'}, "schedule.kind is 'linear'"),
    ({'data__num_threads': -1}, 'data.num_threads is -1'),
    ({'data__balance': 'on'}, "data.balance is 'on'; choose from 'off', 's"),
    ({'optimizer__kind': 'adam'}, r"kind is 'adam'; choose from .'sgd', 'ad"),
    (
      {'optimizer__kind': 'adamw', 'optimizer__momentum': 1.0},
      'momentum is 1.0; it must be below 1 with optimizer.kind=',
    ),
    ({'eval__patience': -1}, 'eval.patience is -1; it must be at least 0'),
    (
      {'eval__patience': 2, 'eval__every_epochs': 0.0},
      'eval.patience is 2, but eval.every_epochs is 0',
    ),
    (  # of pixels up to 255, which become 0 to 1 here
      {'data__mean': (123.675, 116.28, 103.53)},
      r'data.mean is \(123.675, 116.28, 103.53\); with data.divisor=255 each '
      'value must be from 0 to 1',
    ),
    ({'data__std': (0.229, 0, 0.225)}, r'data.std is .*must be above 0'),
    ({'data__std': ('a',)}, r"data.std is \('a',\); .*must be above 0"),
  ],
)
def test_bad_values_are_one_sentence(changes, message):
  config = helpers.tiny_config('', '', **changes)
  mesh = sharding.create_mesh(jax.devices()[:1])
  with pytest.raises(errors.InputError, match=message):
    checks.check(config, mesh)


def test_the_statistics_of_a_device_are_those_of_its_clips():
  config = helpers.tiny_config(
    '', '', batch_size=32, accumulation=2, model__bn_stats='local'
  )
  mesh = sharding.create_mesh(jax.devices()[:4])
  resolved = checks.resolve(config, mesh, 3, {'short_side': 99})
  assert resolved.model.bn_stats == 'ghost'
  assert resolved.model.ghost_clips == 4  # 32 clips in 2 parts on 4 devices
  assert (resolved.model.num_classes, resolved.data.short_side) == (3, 99)
  # What was given stays as it was.
  assert (config.model.bn_stats, config.model.num_classes) == ('local', 0)


def test_another_number_of_classes_than_that_of_the_data_is_refused():
  config = helpers.tiny_config('', '', model__num_classes=4)
  mesh = sharding.create_mesh(jax.devices()[:1])
  with pytest.raises(errors.InputError, match='the dataset has 2 classes'):
    checks.resolve(config, mesh, 2)
