import importlib.util

import helpers
import pytest

from configs import common, quickstart

FILES = sorted(
  p for p in helpers.ROOT.glob('configs/*.py') if p.stem != 'common'
)


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_every_config_loads_and_has_no_field_of_its_own(path):
  spec = importlib.util.spec_from_file_location(path.stem, path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  config = module.get_config()
  assert fields(config) == fields(common.get_config('any'))
  assert config.name == path.stem
  assert '--config configs/' in module.__doc__


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


def test_arguments_change_the_config_and_its_name():
  config = quickstart.get_config('shift=none')
  assert config.model.shift == 'none'
  assert config.name == 'quickstart-shift=none'


def test_an_unknown_argument_suggests_the_nearest():
  with pytest.raises(ValueError, match=r"'shfit'; did you mean 'shift'"):
    quickstart.get_config('shfit=none')
  with pytest.raises(ValueError, match='must be of type int'):
    common.parse_arg('depth=x', depth=50)
