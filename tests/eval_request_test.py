"""What `--mode=eval` is asked for is done or refused, and recorded."""

import dataclasses
import json
import re

import jax
import pytest

from support import commands, helpers, leaving, trainings
from tsm_jax import evaluate, sharding
from tsm_jax.data.store import dataset
from tsm_jax.runs import checkpoints


@pytest.fixture(autouse=True)
def one_device(monkeypatch):
  trainings.on_devices(monkeypatch, 1)


@pytest.fixture(scope='module')
def config(folder, data_dir):
  return helpers.tiny_config(folder, data_dir, model__stage_sizes=(1,))


@pytest.fixture(scope='module')
def workdir(folder, data_dir, tmp_path_factory):
  """Of a model whose weights are drawn."""
  path = tmp_path_factory.mktemp('run')
  leaving.save(path, folder, data_dir, model__stage_sizes=(1,))
  return path


@pytest.fixture
def call(config, workdir):
  """Calls the command with fields; what it gave and wrote."""

  def call(*fields):
    (workdir / 'eval_val.json').unlink(missing_ok=True)
    done = commands.call(
      'main',
      '--mode=eval',
      '--config=configs/quickstart.py',
      f'--workdir={workdir}',
      f'--config.data.source={config.data.source}',
      f'--config.data.data_dir={config.data.data_dir}',
      '--config.eval.batch_size=4',
      *(f'--config.{field}' for field in fields),
    )
    written = workdir / 'eval_val.json'
    return done, json.loads(written.read_text()) if written.exists() else None

  return call


def by_hand(config, workdir, **changes):
  """The loss with another preprocessing."""
  trained = checkpoints.restore_model(workdir)
  preprocessing = dataclasses.replace(trained.preprocessing, **changes)
  mesh = sharding.create_mesh()
  source = dataset.prepare(config.data, log=len).split('val')
  return (
    evaluate.Evaluator(trained.module(), preprocessing, mesh)
    .evaluate(
      jax.device_put(trained.variables, sharding.replicated(mesh)),
      source,
      config,
    )
    .loss
  )


def test_sampling_frames_and_size_are_done_and_recorded(call, config, workdir):
  done, plain = call()  # the fields of the file are not asked for
  assert done.returncode == 0, done.stderr
  own = {'num_frames': 4, 'sampling': 'uniform', 'image_size': 32}
  assert own.items() <= plain.items()
  assert plain['dataset'].startswith('videos')
  assert plain['loss'] == pytest.approx(by_hand(config, workdir), rel=1e-5)
  losses = {plain['loss']}
  for section, name, value in (
    ('data', 'sampling', 'dense'),
    ('data', 'image_size', 24),
    ('data', 'frame_interval', 0.05),
    ('model', 'num_frames', 6),
  ):
    done, found = call(f'{section}.{name}={value}', 'model.dropout=0.1')
    assert done.returncode == 0, done.stderr
    assert (
      f'{section}.{name} is {value}; the model was trained w' in done.stdout
    )
    assert {**own, name: value}.items() <= found.items()
    expected = by_hand(config, workdir, **{name: value})
    assert found['loss'] == pytest.approx(expected, rel=1e-5)
    losses.add(found['loss'])
  assert len(losses) == 5


def test_the_consensus_of_a_trained_model_can_be_asked_for(
  call, config, workdir
):
  done, found = call('model.consensus=frames', 'model.consensus_from=4')
  assert done.returncode == 0, done.stderr
  assert (found['consensus'], found['consensus_from']) == ('frames', 4)
  trained = checkpoints.restore_model(workdir)
  trained.config.update(consensus='frames', consensus_from=4)
  mesh = sharding.create_mesh()
  result = evaluate.Evaluator(
    trained.module(), trained.preprocessing, mesh
  ).evaluate(
    jax.device_put(trained.variables, sharding.replicated(mesh)),
    dataset.prepare(config.data, log=len).split('val'),
    config,
  )
  assert found['loss'] == pytest.approx(result.loss, rel=1e-5)
  _, plain = call()
  assert (plain['consensus'], plain['frame_interval']) == ('mean', 0)
  assert plain['loss'] != found['loss']


@pytest.mark.parametrize(
  ('field', 'message'),
  [
    ('model.shift=none', "model.shift is 'none', but .* with 'blockres'"),
    ('model.depth=34', 'model.depth is 34'),
    ('model.num_classes=5', 'model.num_classes is 5'),
    ('data.mean=(0.1,)', r'data.mean is \[0.1\]'),
    ('ema_decay=0.9', 'ema_decay is 0.9, but the model was trained with 0.0'),
    ('eval.precise_bn_batches=2', 'eval.precise_bn_batches is 2, but'),
    ('data.sampling=dnese', "data.sampling is 'dnese'; choose from"),
    ('model.num_frames=0', 'model.num_frames is 0; it must be at least 1'),
    ('model.consensus_from=2', "consensus_from is 2, but .* is 'mean'"),
    ('data.frame_interval=-1', 'data.frame_interval is -1.0; it must be'),
  ],
)
def test_what_contradicts_the_weights_is_refused(field, message, call):
  done, found = call(field)
  assert done.returncode == 2 and found is None
  assert len(done.stderr.splitlines()) == 1
  assert re.search(message, done.stderr)


def test_a_built_dataset_holds_what_it_was_built_with(call, config):
  built = dataset.prepare(config.data, log=len).path
  done, _ = call(f'data.source={built}', 'data.fps=5')
  assert done.returncode == 2
  assert 'data.fps is 5.0, but the built dataset' in done.stderr
  done, _ = call(f'data.source={built}', 'data.max_frames=5')
  assert done.returncode == 2
  assert 'data.max_frames is 5, but the built dataset' in done.stderr
  assert 'holds clips with 20000' in done.stderr


def test_a_training_on_a_built_dataset_is_told_what_it_cannot_have(
  config, tmp_path
):
  built = str(dataset.prepare(config.data, log=len).path)

  def train(*fields):
    return commands.call(
      *('main', f'--workdir={tmp_path}', *commands.TINY),
      *('--config.batch_size=4', '--config.epochs=0.2'),
      '--config.schedule.warmup_epochs=0',
      f'--config.data.source={built}',
      *(f'--config.data.{field}' for field in fields),
    )

  for field in ('fps=5.0', 'quality=50', "storage='video'", 'max_frames=5'):
    done = train(field.replace("'", ''))
    name, _, value = field.partition('=')
    assert done.returncode == 2
    assert f'data.{name} is {value}, but the built dataset' in done.stderr
  assert not list(tmp_path.iterdir())
  done = train('holdout=0.5', 'holdout_seed=3', 'labels=mine.txt')
  assert done.returncode == 0, done.stderr
  for field in ('holdout=0.5', 'holdout_seed=3', "labels='mine.txt'"):
    assert f'data.{field} does nothing: {built} was built' in done.stdout


def test_a_recipe_that_stores_clips_in_another_way_is_told(config):
  built = dataset.prepare(config.data, log=len).path
  lines = []
  fields = {**config.data.to_dict(), 'source': str(built), 'storage': 'video'}
  dataset.prepare(fields, log=lines.append)
  assert lines == [f"data.storage='video' does nothing: {built} has 'frames'."]


def test_an_argument_of_the_file_counts_as_asked_for(call, workdir):
  done = commands.call(
    'main',
    '--mode=eval',
    '--config=configs/quickstart.py:shift=none',
    f'--workdir={workdir}',
  )
  assert done.returncode == 2
  assert "model.shift is 'none'" in done.stderr


def test_an_argument_counts_where_it_is_the_default_of_the_file(
  config, folder, data_dir, tmp_path
):
  leaving.save(tmp_path, folder, data_dir, model__shift='none')

  def call(name):
    return commands.call(
      'main',
      *('--mode=eval', f'--config={name}', f'--workdir={tmp_path}'),
      f'--config.data.source={config.data.source}',
      f'--config.data.data_dir={config.data.data_dir}',
      '--config.eval.batch_size=4',
    )

  done = call('quickstart:shift=blockres')
  assert done.returncode == 2
  assert "model.shift is 'blockres', but the model was trained with 'none'" in (
    done.stderr
  )
  done = call('folder:frames=8')
  assert done.returncode == 0, done.stderr
  assert 'model.num_frames is 8; the model was trained with 4.' in done.stdout
  found = json.loads((tmp_path / 'eval_val.json').read_text())
  assert found['num_frames'] == found['asked']['model.num_frames'] == 8


def test_a_number_that_cannot_be_written_is_printed(call, workdir):
  (workdir / 'eval_train.json').mkdir()  # nothing can replace it
  done, _ = call('eval.split=train')
  assert done.returncode == 0
  assert 'top-1 ' in done.stdout
  assert f'could not be written to {workdir}/eval_train.json' in done.stdout


def test_the_workdir_alone_gives_the_numbers_of_its_configuration(
  call, config, workdir
):
  _, expected = call()
  assert expected['asked'].keys() == {
    'data.data_dir',
    'data.source',
    'eval.batch_size',
  }
  done = commands.call('main', '--mode=eval', f'--workdir={workdir}')
  assert done.returncode == 0, done.stderr
  found = json.loads((workdir / 'eval_val.json').read_text())
  assert found == {**expected, 'asked': {}}
  assert 'trained on' not in done.stdout

  done = commands.call(
    'main',
    *('--mode=eval', f'--workdir={workdir}'),
    *('--config.eval.crops=3', '--config.data.quality=50'),
  )
  assert done.returncode == 0, done.stderr
  found = json.loads((workdir / 'eval_val.json').read_text())
  assert found['asked'] == {'data.quality': 50, 'eval.crops': 3}
  assert (found['views'], found['crops']) == (3, 3)
  assert found['dataset'] != expected['dataset']
  assert f'The dataset is {found["dataset"]}; the model was trained on ' in (
    done.stdout
  )
  assert expected['dataset'] in done.stdout


def test_neither_configuration_nor_run_is_a_sentence(tmp_path):
  for mode in ('train', 'eval', 'describe'):
    none = commands.call('main', f'--mode={mode}', f'--workdir={tmp_path}')
    assert none.returncode == 2
    assert 'holds no run, whose configuration would be used' in none.stderr
    assert len(none.stderr.splitlines()) == 1
    lacking = commands.call('main', f'--mode={mode}')
    assert lacking.returncode == 2
    assert '--config is missing; give' in lacking.stderr
