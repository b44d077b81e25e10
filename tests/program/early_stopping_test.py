"""A run ends when it no longer gets better, killed or not."""

import shutil

import chex
import pytest

from support import helpers, trainings
from tsm_jax.program import early_stopping, metrics
from tsm_jax.runs import checkpoints

STEPS = 12


def lines_of(*top1, every=10):
  return [
    line
    for number, value in enumerate(top1, 1)
    for line in (
      {'step': every * number, 'train/loss': 1.0},
      {'step': every * number, 'eval/top1': value},
    )
  ]


@pytest.mark.parametrize(
  ('top1', 'patience', 'many'),
  [
    ((), 1, None),
    ((0.5,), 1, None),
    ((0.0,), 1, None),
    ((0.5, 0.6), 1, None),
    ((0.5, 0.5), 1, 'evaluation'),  # an equal one is not better
    ((0.5, 0.4), 2, None),
    ((0.5, 0.4, 0.5), 2, '2 evaluations'),
    ((0.5, 0.4, 0.6), 2, None),
    ((0.2, 0.5, 0.4, 0.3, 0.4), 3, '3 evaluations'),
    ((0.2, 0.5, 0.4, 0.3, 0.4), 4, None),
    ((0.2, 0.1, 0.1), 0, None),
  ],
)
def test_a_run_ends_after_evaluations_that_are_no_better(top1, patience, many):
  evaluation = {'split': 'val', 'patience': patience}
  found = early_stopping.explain(lines_of(*top1), evaluation)
  if not many:
    assert not found
    return
  best = max(top1)
  assert found == (
    f'The run ends at step {10 * len(top1)}: in the last {many}, top-1 on '
    f"'val' has not been above the {best:.2%} of step "
    f'{10 * (1 + top1.index(best))} (eval.patience={patience}; 0 trains on).'
  )


def test_older_configurations_have_no_patience():
  assert not early_stopping.explain(lines_of(0.5, 0.1), {'split': 'val'})


def test_the_decision_is_that_of_a_run_that_was_not_killed(
  folder, data_dir, tmp_path, monkeypatch
):
  trainings.on_devices(monkeypatch, 1)

  def run(workdir, patience):
    config = helpers.tiny_config(
      *(folder, data_dir),
      epochs=4.8,
      base_learning_rate=0.05,
      log_every_steps=3,
      data__balance='sampling',
      optimizer__kind='adamw',
      eval__every_epochs=0.8,  # two steps
      eval__patience=patience,
      checkpoint__every_steps=3,
    )
    return trainings.run(config, workdir)

  def evaluations(workdir):
    lines = metrics.read(workdir)
    return [(r['step'], r['eval/top1']) for r in lines if 'eval/top1' in r]

  whole, parts = tmp_path / 'whole', tmp_path / 'parts'
  state, *_ = run(whole, 0)
  assert state.step == STEPS
  # By a plain loop over the evaluations of the whole run.
  best, since, end = -1.0, 0, 0
  for step, top1 in evaluations(whole):
    best, since = (top1, 0) if top1 > best else (best, since + 1)
    end = end or (step if since == 3 else 0)
  assert 4 < end < STEPS and end % 3  # what is saved anyway would say less

  stopped, result, log = run(parts, 3)
  assert f'The run ends at step {end}: in the last 3 evaluations' in log
  expected = [pair for pair in evaluations(whole) if pair[0] <= end]
  assert evaluations(parts) == expected
  assert stopped.step == end == checkpoints.restore_model(parts).step

  # The same command trains no further, but answers again.
  again, same, log = run(parts, 3)
  assert f'This run finished at step {end}' in log
  chex.assert_trees_all_equal(again, stopped)
  assert same.loss == result.loss and evaluations(parts) == expected

  # As if it had been killed between the decision and the last save.
  shutil.rmtree(parts / 'checkpoints' / str(end))
  again, _, log = run(parts, 3)
  assert 'Continuing' in log and f'The run ends at step {end}' in log
  chex.assert_trees_all_equal(again, stopped)
  assert evaluations(parts) == expected

  # Without patience it goes on, as if it had never stopped.
  last, *_ = run(parts, 0)
  chex.assert_trees_all_equal(last, state)
  assert evaluations(parts) == evaluations(whole)
  assert trainings.losses(parts) == trainings.losses(whole)
