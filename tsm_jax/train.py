"""Training: one straight loop, from a folder of videos to a report."""

import contextlib
import functools

import jax

from tsm_jax import evaluate, program, progress, sharding
from tsm_jax.convert import init_from
from tsm_jax.data.input import balance, flips, pipeline
from tsm_jax.data.store import dataset
from tsm_jax.insight import choices, describe, mistakes, run_report
from tsm_jax.program import (
  checks,
  divergence,
  early_stopping,
  eval_variables,
  metrics,
  predictions,
)
from tsm_jax.program.step import TrainState, make_train_step  # noqa: F401
from tsm_jax.runs import (
  checkpoints,
  clock,
  identity,
  json_item,
  occupancy,
  processes,
  stopping,
)
from tsm_jax.stream import agreement


def train(config, workdir, log=print):
  """Trains, or continues to train, the model of `config` in `workdir`.

  Args:
    config: a configuration, see `configs/common.py`; it is not changed.
    workdir: gets config.json, metrics.jsonl, checkpoints and a report.
    log: called with every line for the user.

  Returns:
    The final `TrainState` and the last `evaluate.Result`.

  Raises:
    InputError: if the configuration, the data or the checkpoint in `workdir`
      do not fit; a sentence says which value.
    SystemExit: after SIGTERM (`stopping.EXIT_AGAIN`) or SIGINT (130), once the
      checkpoint is saved.
  """
  log = log if jax.process_index() == 0 else (lambda line: None)
  # Is this a run? A wrong field must not wait for hours of building.
  mesh = sharding.create_mesh()
  config = choices.settle(config, workdir, log)
  checks.check(config, mesh)
  # Before a checkpoint is opened, which tidies up after a run that was killed.
  with occupancy.held(workdir, log) as occupied:
    return _train(config, workdir, mesh, occupied, log)


def _train(config, workdir, mesh, occupied, log):  # noqa: C901 (the long one)
  """As `train`, in a workdir that is this run's own."""
  active = jax.process_index() == 0
  kept = checkpoints.Checkpoints(workdir, config.checkpoint)
  is_new = kept.latest_step() is None
  if is_new:
    init_from.check(config.init_from, config.model, log)

  # --- Data. From here on the configuration is resolved, and stays. ---
  splits = 'train', config.eval.split
  data = dataset.prepare(config.data, config.model.modality, log, splits)
  train_source = data.split('train')
  eval_source = data.split(config.eval.split)
  sharding.check_enough(len(train_source))
  processes.check_same(
    {
      'data.source': data.name,
      'training clips': len(train_source),
      'evaluated clips': len(eval_source),
    }
  )
  config = checks.resolve(config, mesh, len(data.labels), data.options)
  mirrored = flips.mirrored_classes(config.data.flip, data.labels)

  # --- Model, optimiser and step. ---
  num_classes = len(data.labels)
  weights = balance.loss_weights(
    config.data.balance, train_source, num_classes, mirrored, log
  )
  built = program.build(
    config, mesh, num_classes, len(train_source), mirrored, weights
  )
  total_steps = built.total_steps
  interval = data.interval(splits, built.preprocessing)
  new_key = functools.partial(jax.random.key, config.seed)
  key = jax.jit(new_key, out_shardings=sharding.replicated(mesh))()
  for_use = eval_variables.EvalVariables(built, config, mesh, train_source)
  evaluator = evaluate.Evaluator(built.model, built.preprocessing, mesh)
  finite = divergence.Finite(mesh)

  # --- Where the run stands: what workdir holds, else init_from, else scratch.
  # In this order, so that the same command, given again, does not begin anew.
  meta = identity.describe(config, data.labels, data.name, interval)
  window = metrics.Window()
  if not is_new:
    state, saved = kept.restore(built.arguments[0], meta)
    window = metrics.Window(saved['window'])
    start_step = int(state.step)
    log(f'Continuing {workdir} at step {start_step} of {total_steps}.')
    if json_item.carry_on(meta, saved, start_step, log):
      kept.drop_after(start_step)  # what followed with the old values
  else:
    identity.check_new(workdir, config)
    state, start_step = built.init(key), 0
    if config.init_from:
      variables, meta['initialised_from'] = init_from.load(
        config.init_from, config.model, data.labels, log, config.data
      )
      shardings = built.shardings._asdict()
      places = {name: shardings[name] for name in variables}
      state = state._replace(**jax.device_put(variables, places))
  divergence.check_start(finite, state, kept, config.init_from)
  if active:
    identity.freeze_config(workdir, config)
  for line in describe.describe_run(
    built, data, config, mesh, mirrored, interval
  ):
    log(line)
  log(metrics.where(workdir))

  # --- Compile. Before the data starts: processes take different times, and
  # some collective operations wait half a minute only.
  train_step = built.train_step.lower(*built.arguments).compile()
  sharding.barrier('compiled')

  # --- The loop. ---
  eval_every = max(1, round(config.eval.every_epochs * built.steps_per_epoch))
  only_at_end = not config.eval.every_epochs
  was_evaluated = early_stopping.was_evaluated(workdir, start_step)
  if early_stopping.reached(workdir, start_step, config, log):
    total_steps = start_step
  ahead = pipeline.ahead(
    pipeline.train_batches(
      train_source,
      config,
      built.preprocessing,
      start_step,
      sharding.process(),
    )
  )
  bar = progress.steps(total_steps, start_step, active)
  result = None
  with (
    contextlib.closing(ahead) as batches,
    metrics.Writer(workdir, start_step, active) as writer,
    stopping.Stop() as stop,
    stopping.Watchdog(config.stall_seconds) as watchdog,
    bar,
    divergence.explained(kept, workdir, active),
  ):
    watchdog.beat()  # all are here, and none waits for a compiler any more
    speed = clock.Clock()
    # The first turn trains nothing: it makes up for a missed evaluation.
    for step in range(start_step, total_steps + 1):
      last = step == total_steps
      if step > start_step:
        batch = speed.batch(batches)
        state, values = train_step(state, sharding.to_devices(batch, mesh), key)
        window.append(values)
        watchdog.beat()
        if last or step % config.log_every_steps == 0:
          means, rates = window.means(step), speed.rates(config.batch_size)
          scalars = {f'train/{name}': value for name, value in means.items()}
          scalars['learning_rate'] = float(built.schedule(step - 1))
          writer.write(step, {**scalars, **rates})
          bar.set_postfix_str(metrics.in_short(means, rates), refresh=False)
        bar.update()
      elif last:
        log(f'This run finished at step {total_steps}; evaluating it.')

      stopping_now = step > start_step and stop.reached()
      if step > start_step and (
        stopping_now or last or step % config.checkpoint.every_steps == 0
      ):
        occupied.check()
        losses = window.fetch(step)
        # A stop leaves time for precise statistics of the last model only.
        # Averaged or gathered parameters are a copy: no name may keep it.
        kept.save(
          state,
          finite.check(state, for_use(state, last or not stop.signal), step),
          {**meta, 'window': losses},
        )
      if stopping_now:
        break

      # After the save, so that a kill in between loses neither: the next start
      # finds the step saved and not yet evaluated.
      is_missing = step > start_step or not was_evaluated
      due = step > 0 and step % eval_every == 0 and is_missing
      if last or (due and not only_at_end):
        with speed.paused(state):
          losses = window.fetch(step)
          variables = finite.check(state, for_use(state), step)
          result = evaluator.evaluate(
            variables,
            eval_source,
            config,
            validation=True,
            stop=lambda: watchdog.beat() or stop.reached(),
          )
          if result is None:  # by a stop: the next start makes up for it
            occupied.check()
            kept.save(state, variables, {**meta, 'window': losses})
            break
          divergence.check_result(result.loss, step)
          occupied.check()
          predictions.keep(workdir, step, result, data.labels, active)
          if is_missing:
            kept.save_best(step, variables, meta, result.score)
            writer.write(step, result.scalars('eval/'))
            if active:
              bar.write(
                f'step {step}: {config.eval.split} {result.in_short()} of '
                f'{result.num_clips} clips'
              )
          last = last or early_stopping.reached(workdir, step, config, log)
          if last:  # what an earlier start saved may not be what was evaluated
            kept.save(state, variables, {**meta, 'window': losses})
            final = agreement.on_host(variables)
          del variables
          if last:
            break
    kept.wait()

  if stop.signal:
    saved = kept.latest_step()
    log(f'{stop.signal.name}: step {saved} is saved; run again to continue.')
    raise SystemExit(stopping.exit_status(stop.signal))
  if active and result is not None:
    online = agreement.report(workdir, built, final, eval_source, log)
    frames = mistakes.reader(eval_source, built.preprocessing, config)
    counts = data.class_counts('train')
    path = run_report.write(
      workdir, data.labels, result, online, frames, counts
    )
    log(f'{result.headline()}; the report is {path}')
  sharding.barrier('ended')  # so that nobody leaves while another one works
  return state, result
