"""Training that diverges: nothing that is not finite is kept or shown."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from support import helpers, trainings
from tsm_jax import errors, evaluate
from tsm_jax.program import eval_variables, metrics, optim
from tsm_jax.runs import checkpoints


@pytest.fixture(autouse=True)
def one_device(monkeypatch):
  trainings.on_devices(monkeypatch, 1)


def tiny(folder, data_dir, **changes):
  return helpers.tiny_config(
    folder,
    data_dir,
    **{
      'epochs': 2.0,  # 5 steps
      'checkpoint__every_steps': 1,
      'eval__every_epochs': 0.4,  # a step
      'log_every_steps': 100,
      **changes,
    },
  )


def steps(workdir, folder='checkpoints'):
  """The steps saved in a folder."""
  path = workdir / folder
  names = [p.name for p in path.iterdir()] if path.exists() else []
  return sorted(int(name) for name in names if name.isdigit())


def break_at(monkeypatch, number):
  """Makes the parameters infinite in the n-th step, as a bad gradient does."""
  create = optim.create_schedule

  def schedule(**kwargs):
    rate = create(**kwargs)
    return lambda step: jnp.where(step == number - 1, jnp.inf, rate(step))

  monkeypatch.setattr(optim, 'create_schedule', schedule)


def check_clean(workdir):
  """No file of JSON holds nan, and no model either."""
  found = [*workdir.glob('*.json*'), *workdir.glob('**/metadata')]
  assert found
  for path in found:
    assert 'NaN' not in path.read_text() and 'Infinity' not in path.read_text()
  for name in ('checkpoints', 'best'):
    for step in steps(workdir, name):
      model = checkpoints.restore_model(workdir / name / str(step))
      assert all(np.isfinite(x).all() for x in jax.tree.leaves(model.variables))


def test_a_diverged_run_goes_on_from_before_with_a_lower_rate(
  folder, data_dir, tmp_path, monkeypatch
):
  config = tiny(folder, data_dir)
  with monkeypatch.context() as patch:
    break_at(patch, 4)
    with pytest.raises(errors.InputError) as diverged:
      trainings.run(config, tmp_path)
  assert 'diverged; lower base_learning_rate' in str(diverged.value)
  assert 'goes on from step 3, the last' in str(diverged.value)
  assert steps(tmp_path)[-1] == 3
  check_clean(tmp_path)
  evaluated = [r['step'] for r in metrics.read(tmp_path) if 'eval/top1' in r]
  assert evaluated == [1, 2, 3]

  lower = tiny(folder, data_dir, base_learning_rate=0.1)
  state, _, log = trainings.run(lower, tmp_path)
  assert 'at step 3 of 5' in log and int(state.step) == 5
  assert 'base_learning_rate is 0.1; it was 2.0' in log
  (changed,) = checkpoints.restore_model(tmp_path).meta['changes']
  assert changed['step'] == 3
  assert changed['base_learning_rate'] == [2.0, 0.1]
  assert json.loads((tmp_path / 'config.json').read_text())[
    'base_learning_rate'
  ] == pytest.approx(0.1)
  # Anything else is still another run.
  with pytest.raises(errors.InputError, match=r'seed \(there 0, now 1\)'):
    trainings.run(tiny(folder, data_dir, seed=1), tmp_path)


def test_a_checkpoint_that_no_rate_saves_is_removed(folder, data_dir, tmp_path):
  # The parameters after the first step are finite, and the next loss is not.
  config = tiny(folder, data_dir, base_learning_rate=1e37)
  with pytest.raises(errors.InputError) as diverged:
    trainings.run(config, tmp_path)
  assert 'No checkpoint is from before' in str(diverged.value)
  assert not steps(tmp_path) and not steps(tmp_path, 'best')
  check_clean(tmp_path)


def test_averages_and_statistics_count_too(
  folder, data_dir, tmp_path, monkeypatch
):
  config = tiny(folder, data_dir, eval__precise_bn_batches=1)
  make = eval_variables.make_moments

  def broken(*args):
    moments = make(*args)
    return lambda *given: jax.tree.map(lambda x: x / 0, moments(*given))

  monkeypatch.setattr(eval_variables, 'make_moments', broken)
  with pytest.raises(
    errors.InputError, match=r'variables/batch_stats/bn1.*finite'
  ):
    trainings.run(config, tmp_path)
  assert not steps(tmp_path) and not steps(tmp_path, 'best')


def test_a_model_that_is_not_finite_is_not_evaluated(
  folder, data_dir, tmp_path
):
  once = {'eval__every_epochs': 100.0, 'checkpoint__every_steps': 100}
  config = tiny(folder, data_dir, **once)  # the program of the test above
  trainings.run(config, tmp_path / 'run')
  trained = checkpoints.restore_model(tmp_path / 'run')
  broken = jax.tree.map(lambda x: x * np.nan, trained.variables)
  checkpoints.save_model(tmp_path / 'nan', broken, trained.meta)
  lines = []
  with pytest.raises(errors.InputError, match='nan, step 0, are not finite'):
    evaluate.evaluate_checkpoint(config, tmp_path / 'nan', lines.append)
  assert not any('%' in line for line in lines)
  assert not (tmp_path / 'nan/eval_val.json').exists()
  with pytest.raises(errors.InputError, match=r'init_from is .* not finite'):
    trainings.run(
      tiny(folder, data_dir, init_from=str(tmp_path / 'nan')), tmp_path / 'new'
    )


def test_lines_of_older_versions_lose_what_is_not_finite(tmp_path):
  path = tmp_path / metrics.FILE
  path.write_text('{"step": 1, "eval/top1": 0.6, "eval/loss": NaN}\n')
  with metrics.Writer(tmp_path, 1):
    pass
  assert path.read_text() == '{"step": 1, "eval/top1": 0.6}\n'
