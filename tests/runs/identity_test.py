import copy

import pytest

from support import helpers
from tsm_jax import errors
from tsm_jax.runs import identity


def test_a_field_newer_than_the_checkpoint_had_its_default():
  config = helpers.tiny_config('', '')
  saved = identity.describe(config, ['a'], 'data')
  for section, field in (('data', 'max_frames'), ('model', 'groups')):
    del saved['config'][section][field]
  del saved['config']['accumulation']
  identity.check_same('folder', saved, identity.describe(config, ['a'], 'data'))
  for field, old, value in (('accumulation', 1, 2), ('model.groups', 1, 32)):
    other = copy.deepcopy(config)
    other.update_from_flattened_dict({field: value})
    with pytest.raises(errors.InputError) as refused:
      identity.check_same(
        'folder', saved, identity.describe(other, ['a'], 'data')
      )
    assert f'{field} (there {old}, now {value}).' in str(refused.value)
