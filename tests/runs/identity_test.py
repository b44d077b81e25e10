import copy
import json

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


def test_a_field_as_it_was_is_not_written_for_earlier_versions(tmp_path):
  config = helpers.tiny_config('', '', data__holdout_rule='hash')
  identity.freeze_config(tmp_path, config)
  written = json.loads((tmp_path / identity.CONFIG).read_text())
  saved = identity.describe(config, ['a'], 'data')
  assert saved['config'] == written
  assert saved['frame_interval'] is None
  for name in identity.NEWER:
    section, field = name.split('.')
    assert field in config[section] and field not in written[section]
  changed = copy.deepcopy(config)
  changed.model.consensus = 'frames'
  changed.data.frame_interval = 0.2
  other = identity.describe(changed, ['a'], 'data')['config']
  assert identity.differing(written, other) == {
    'data.frame_interval': (0.0, 0.2),
    'model.consensus': ('mean', 'frames'),
  }
  assert identity.differing(other, written) == {
    'data.frame_interval': (0.2, 0.0),
    'model.consensus': ('frames', 'mean'),
  }
  assert not identity.differing(written, identity._as_json(config))


def test_a_run_without_a_rule_has_the_one_of_before():
  old = identity.describe(
    helpers.tiny_config('', '', data__holdout_rule='hash'), ['a'], 'data'
  )['config']
  new = identity.describe(helpers.tiny_config('', ''), ['a'], 'data')['config']
  assert 'holdout_rule' not in old['data']
  assert new['data']['holdout_rule'] == 'stratified'
  assert identity.differing(old, new) == {
    'data.holdout_rule': ('hash', 'stratified')
  }


@pytest.fixture
def compare(tmp_path):
  """Compares a changed run with one whose checkpoint is in a workdir.

  Takes new values of fields, and the name of the dataset; returns what is
  refused, or ''.
  """

  def compare(old=(), dataset='videos-0123456789', labels=('a',), **new):
    config = helpers.tiny_config('', '', **dict(old))
    saved = identity.describe(config, ['a'], 'videos-0123456789')
    for name, value in new.items():
      config.update_from_flattened_dict({name.replace('__', '.'): value})
    meta = identity.describe(config, list(labels), dataset)
    try:
      identity.check_same(tmp_path / 'run' / 'checkpoints', saved, meta)
    except errors.InputError as error:
      return str(error)
    return ''

  return compare


def test_a_run_gets_more_epochs_where_that_changes_no_rate(compare):
  step, cosine = {'schedule__kind': 'step'}, {'schedule__kind': 'cosine'}
  assert not compare(step, epochs=50.0)
  message = compare(cosine, epochs=50.0)
  assert 'epochs (there 5.0, now 50.0)' in message
  assert 'schedule.kind is step and the warm-up as long as before' in message
  assert 'to train longer, start a new run' in message
  assert 'init_from=' in message
  assert 'epochs (there 5.0, now 1.0)' in compare(step, epochs=1.0)


def test_more_epochs_do_not_bring_a_warm_up_back(compare):
  # Nine times the batch of the rate: 0.5 epochs of 5, but 5 of 50.
  large = {
    'schedule__kind': 'step',
    'schedule__warmup_epochs': -1.0,
    'learning_rate': 9 * 2.0,
  }
  message = compare(large, epochs=50.0)
  assert 'epochs (there 5.0, now 50.0)' in message
  assert 'the warm-up as long as before; to train longer, start' in message
  assert not compare({**large, 'epochs': 50.0}, epochs=60.0)  # 5 of both
  assert not compare({**large, 'learning_rate': 2.0}, epochs=50.0)  # none


def test_another_folder_of_the_same_videos_is_the_same_run(compare):
  assert not compare(dataset='moved-0123456789', name='other')
  assert not compare(data__labels='elsewhere/labels.txt')
  assert 'dataset (there' in compare(dataset='videos-0123456780')
  assert "labels (there ['a'], now ['b'])" in compare(labels=('b',))


def test_a_rate_may_change_once_the_run_has_diverged(compare, tmp_path):
  changes = {'base_learning_rate': 0.1, 'optimizer__clip_norm': 1.0}
  message = compare(**changes)
  assert 'base_learning_rate (there 2.0, now 0.1)' in message
  assert f'such as {tmp_path}/run-base_learning_rate=0.1)' in message
  (tmp_path / 'run').mkdir()
  (tmp_path / 'run' / identity.DIVERGED).write_text('{}')
  assert not compare(**changes)
  assert 'seed (there 0, now 1)' in compare(**changes, seed=1)


def test_another_optimizer_is_another_run(compare, tmp_path):
  message = compare(optimizer__kind='adamw')
  assert "optimizer.kind (there 'sgd', now 'adamw')" in message
  (tmp_path / 'run').mkdir()
  (tmp_path / 'run' / identity.DIVERGED).write_text('{}')
  assert 'optimizer.kind' in compare(optimizer__kind='adamw')
  assert "data.balance (there 'off', now 'loss')" in compare(
    data__balance='loss'
  )
  assert not compare(eval__patience=3)  # only says when it ends
  assert not compare(eval__batch_size=3)


def test_evaluations_of_a_run_are_of_one_kind(compare):
  # A curve of unlike measures names no best model.
  for field, old, new in (
    ('eval__split', "'val'", 'test'),
    ('eval__clips', 1, 2),
    ('eval__crops', 1, 3),
    ('eval__full_resolution', False, True),
  ):
    message = compare(**{field: new})
    assert f'{field.replace("__", ".")} (there {old}, now {new!r})' in message
    assert '--mode=eval' in message


def test_best_models_of_another_run_are_not_mixed_in(tmp_path):
  config = helpers.tiny_config('', '')
  identity.freeze_config(tmp_path, config)
  config.seed = 1
  identity.check_new(tmp_path, config)  # without models there is nothing to mix
  (tmp_path / 'best' / '20').mkdir(parents=True)
  with pytest.raises(errors.InputError, match=r'best are of another run.*seed'):
    identity.check_new(tmp_path, config)
  config.seed = 0
  identity.check_new(tmp_path, config)
  (tmp_path / identity.CONFIG).write_text('')
  with pytest.raises(errors.InputError, match=r'config\.json is no JSON'):
    identity.check_new(tmp_path, config)
