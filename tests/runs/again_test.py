"""A run that is asked again: which configuration it then has."""

import copy
import json
import shutil

import jax
import pytest

from support import commands, helpers
import tsm_jax
from tsm_jax import configuration, errors, files, sharding
from tsm_jax.configs import common
from tsm_jax.configuration import flags
from tsm_jax.program import checks
from tsm_jax.runs import again, identity


@pytest.fixture
def frozen(tmp_path):
  """Freezes the tiny configuration with some fields; the path of its JSON."""

  def frozen(workdir=tmp_path / 'run', **fields):
    config = helpers.tiny_config('videos', 'data', **fields)
    identity.freeze_config(workdir, config)
    return workdir / identity.CONFIG

  return frozen


@pytest.mark.parametrize('name', configuration.recipes())
def test_the_json_of_a_run_is_its_configuration(name, tmp_path):
  mesh = sharding.create_mesh(jax.devices()[:2])
  config = tsm_jax.load_config(name, data={'source': 'videos'})
  config.model.bn_stats = 'local'
  config = checks.resolve(config, mesh, 7, {'quality': 80})
  identity.freeze_config(tmp_path, config)
  found = tsm_jax.load_config(tmp_path / identity.CONFIG)
  assert found.to_dict() == config.to_dict()
  assert found.model.ghost_clips  # as the devices decided
  with pytest.raises(AttributeError):
    found.data.sorce = 'x'


def test_the_rate_of_a_run_follows_its_batch_as_it_did(frozen):
  path = frozen(batch_size=8, base_learning_rate=2.0)
  half = tsm_jax.load_config(path, base_learning_rate=1.0)
  assert half.learning_rate == 1.0 * 8 / 128
  assert tsm_jax.load_config(path, batch_size=16).eval.batch_size == 16
  path = frozen(learning_rate=0.3, eval__batch_size=4)
  fixed = tsm_jax.load_config(path, base_learning_rate=1.0, batch_size=16)
  assert (fixed.learning_rate, fixed.eval.batch_size) == (0.3, 4)


def test_a_field_newer_than_the_run_has_its_default(frozen):
  path = frozen()
  written = json.loads(path.read_text())
  del written['accumulation'], written['data']['max_frames']
  assert 'frame_interval' not in written['data']
  path.write_text(json.dumps(written))
  found = tsm_jax.load_config(path)
  usual = common.get_config('')
  assert found.accumulation == usual.accumulation
  assert found.data.max_frames == usual.data.max_frames
  assert found.data.frame_interval == 0.0
  assert found.data.image_size == 32


def test_a_run_that_names_no_rule_goes_on_by_the_one_of_before(frozen):
  path = frozen(data__holdout_rule='hash')
  assert 'holdout_rule' not in json.loads(path.read_text())['data']
  workdir = path.parent
  assert tsm_jax.load_config(path).data.holdout_rule == 'hash'
  assert again.load(workdir, [], 'eval')[0].data.holdout_rule == 'hash'
  # The command that began it goes on, too, and evaluates it.
  config = helpers.tiny_config('videos', 'data')
  lines = []
  found = again.complete(config, set(), workdir, log=lines.append)
  assert found.data.holdout_rule == 'hash' and len(lines) == 1
  again.keep(config, {'seed'}, workdir)
  assert config.data.holdout_rule == 'hash'
  # But not where somebody asks for another, or there is no run.
  for asked, folder in (({'data.holdout_rule'}, workdir), ((), workdir / 'x')):
    config = helpers.tiny_config('videos', 'data')
    again.keep(config, asked, folder)
    assert config.data.holdout_rule == 'stratified'
  path = frozen(workdir / 'new')
  config = helpers.tiny_config('videos', 'data', data__holdout_rule='hash')
  again.keep(config, (), workdir / 'new')
  assert tsm_jax.load_config(path).data.holdout_rule == 'stratified'


def test_what_is_no_configuration_is_a_sentence(frozen, tmp_path):
  path = frozen()
  written = json.loads(path.read_text())
  for content, message in (
    ({'a': 1}, 'is no configuration: name is None'),
    ({**written, 'bach_size': 1}, "'bach_size'; did you mean 'batch_size'"),
    ({**written, 'data': 1}, "has no field 'data'"),
    ({**written, 'epochs': 'x'}, "epochs is 'x'; it must be of type float"),
  ):
    path.write_text(json.dumps(content))
    with pytest.raises(errors.InputError, match=message) as refused:
      tsm_jax.load_config(path)
    assert str(refused.value).startswith(str(path))
  with pytest.raises(errors.InputError, match=r'none\.json does not exist'):
    tsm_jax.load_config(tmp_path / 'none.json')
  with pytest.raises(errors.InputError, match='takes no arguments'):
    tsm_jax.load_config(f'{path}:depth=18')


def test_every_command_takes_the_json_of_a_run(frozen):
  path = frozen(epochs=7.0)
  explained = commands.call(
    'plan',
    f'--config={path}',
    *('--explain', '--num_clips=100', '--num_classes=2'),
  )
  assert explained.returncode == 0, explained.stderr
  assert 'epochs = 7.0' in explained.stdout
  described = commands.call(
    'main', f'--config={path}', '--mode=describe', '--config.model.width=4'
  )
  assert described.returncode == 0, described.stderr
  assert 'quickstart' in described.stdout


def test_a_workdir_is_enough(frozen):
  workdir = frozen(epochs=7.0).parent
  overrides = ['--config.epochs=9', '--config.data.source=moved']
  config, asked = again.load(workdir, overrides, 'train')
  assert asked == {'epochs', 'data.source'}
  expected = helpers.tiny_config('moved', 'data', epochs=9.0)
  assert config.to_dict() == expected.to_dict()
  with pytest.raises(errors.InputError, match="did you mean 'epochs'"):
    again.load(workdir, ['--config.epoch=9'], 'train')


def test_without_its_json_a_run_is_known_by_a_checkpoint(tmp_path):
  workdir, expected = tmp_path / 'run', helpers.tiny_config('videos', 'data')
  meta = identity.describe(expected, ['a'], 'data')
  for step in (10, 20):
    files.write(workdir / f'checkpoints/{step}/data/metadata', json.dumps(meta))
  for damage in (
    lambda: None,
    lambda: (workdir / identity.CONFIG).write_text('{'),
  ):
    damage()
    config, _ = again.load(workdir, [], 'train')
    assert config.to_dict() == expected.to_dict()
  (workdir / 'checkpoints/20/data/metadata').write_text('')
  assert again.load(workdir, [], 'train')[0].to_dict() == expected.to_dict()
  shutil.rmtree(workdir / 'checkpoints')
  with pytest.raises(errors.InputError, match=r'config\.json is no JSON'):
    again.load(workdir, [], 'train')


def test_a_part_of_a_run_is_evaluated_but_not_continued(frozen, tmp_path):
  workdir = frozen().parent
  (workdir / 'best' / '20').mkdir(parents=True)
  for part in ('best', 'best/20', 'checkpoints'):
    config, _ = again.load(workdir / part, [], 'eval')
    assert config.name == 'quickstart'
    with pytest.raises(errors.InputError, match=f'--workdir={workdir}.$'):
      again.load(workdir / part, [], 'train')
  for name in ('20', 'best', 'best/30'):  # the name of a run may be any
    frozen(tmp_path / name)
    assert again.load(tmp_path / name, [], 'train')[0].name == 'quickstart'


def test_no_run_and_a_converted_model_are_sentences(tmp_path):
  with pytest.raises(errors.InputError, match='holds no run, whose'):
    again.load(tmp_path / 'none', [], 'train')
  config = helpers.tiny_config('', '')
  part = {name: config.to_dict()[name] for name in ('name', 'model')}
  part['data'] = {'image_size': 64, 'mean': (0.5,), 'std': (1.0,)}
  files.write(tmp_path / 'k400' / identity.CONFIG, json.dumps(part))
  with pytest.raises(errors.InputError, match=r'--config\.init_from=.*k400\.$'):
    again.load(tmp_path / 'k400', [], 'train')
  with pytest.raises(errors.InputError, match=r'by --config\.data\.source'):
    again.load(tmp_path / 'k400', [], 'eval')
  found, _ = again.load(tmp_path / 'k400', ['--config.data.source=x'], 'eval')
  assert (found.data.source, found.data.image_size) == ('x', 64)


def test_videos_that_were_moved_are_named(tmp_path):
  config = helpers.tiny_config(tmp_path / 'gone', '')
  message = r"data\.source='.*gone', which is not here; say .*data\.source\.$"
  with pytest.raises(errors.InputError, match=message):
    again.check_source(config, {'data.data_dir'})
  again.check_source(config, {'data.source'})  # whose message is another
  for source in (str(tmp_path), 'motion'):
    config.data.source = source
    again.check_source(config, set())


def set_by_flags(config, *overrides):
  return flags.override(config, overrides)


def test_what_no_flag_says_is_as_in_the_run(frozen):
  workdir = frozen(
    data__short_side=128, eval__batch_size=4, eval__clips=2, batch_size=4
  ).parent
  lines = []
  config, names = set_by_flags(
    helpers.tiny_config('elsewhere', 'data', eval__clips=5),
    '--config.eval.crops=3',
    '--config.data.quality=70',
  )
  found = again.complete(config, names, workdir, log=lines.append)
  assert (found.data.source, found.data.short_side) == ('videos', 128)
  assert (found.eval.clips, found.eval.crops) == (2, 3)
  assert (found.eval.batch_size, found.data.quality) == (4, 70)
  (line,) = lines
  assert line.startswith(f'As in the run of {workdir}, for no flag says')
  for part in (
    "data.source='videos' (the config says 'elsewhere')",
    'data.short_side=128 (the config says 256)',
    'eval.clips=2 (the config says 5)',
  ):
    assert part in line
  assert 'quality' not in line and 'batch_size' not in line


def test_another_configuration_stays_and_what_differs_is_said(frozen):
  workdir = frozen(data__short_side=128).parent
  for name, follow in (('other', True), ('quickstart', False)):
    lines = []
    config = helpers.tiny_config('videos', 'data', name=name)
    found = again.complete(config, set(), workdir, follow, lines.append)
    assert found is config and found.data.short_side == 256
    assert lines == [
      f'Other than in the run of {workdir}, as the config says: '
      'data.short_side=256 (there 128).'
    ]


def test_arguments_of_a_file_make_it_no_other_one(frozen):
  workdir = frozen(name='folder-depth=18', data__short_side=128).parent
  lines = []
  for name, short_side in (
    ('folder', 128),
    ('folder-direction=past,depth=18', 128),
    ('folder2', 256),
    ('fold', 256),
    ('my-folder-depth=18', 256),
  ):
    config = helpers.tiny_config('videos', 'data', name=name)
    found = again.complete(config, set(), workdir, log=lines.append)
    assert found.data.short_side == short_side
  assert len(lines) == 5


def test_the_same_configuration_is_used_without_a_word(frozen, tmp_path):
  workdir = frozen().parent
  config = helpers.tiny_config('videos', 'data')
  lines = []
  found = again.complete(config, set(), workdir, log=lines.append)
  assert found.to_dict() == config.to_dict() and not lines
  assert again.complete(config, set(), tmp_path / 'none') is config


def test_a_run_of_a_newer_version_is_evaluated(frozen):
  path = frozen()
  written = json.loads(path.read_text())
  written['newer'] = {'a': 1}
  written['data']['newer'] = True
  path.write_text(json.dumps(written))
  config = helpers.tiny_config('videos', 'data')
  found = again.complete(config, set(), path.parent)
  assert found.to_dict() == config.to_dict()


def test_open_fields_are_as_in_the_run(frozen):
  path = frozen(model__width=32, epochs=7.0)
  workdir, written = path.parent, files.read_json(path)
  del written['model']['fold_div']  # which is newer than the run
  path.write_text(json.dumps(written))
  config = helpers.tiny_config('videos', 'data')
  common.leave_open(config, 'model.width', 'model.fold_div', 'epochs')
  found = again.fill(config, workdir)
  assert (found.model.width, found.model.fold_div) == (32, 8)
  # It was killed before its first checkpoint. With other weights or another
  # size, what was chosen for it suits no more.
  for field, value in (('init_from', 'imagenet'), ('data.image_size', 96)):
    other = copy.deepcopy(config)
    configuration.change(other, {field: value})
    assert again.fill(other, workdir) is other
