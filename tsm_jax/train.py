"""Training: one straight loop, from a folder of videos to a report."""

import contextlib
import functools
import os

import jax
from tqdm import auto as tqdm

from tsm_jax import errors, models, sharding
from tsm_jax import evaluate as evaluate_lib
from tsm_jax.convert import init_from
from tsm_jax.data.input import augment, flips, pipeline, preprocess, records
from tsm_jax.data.store import builder
from tsm_jax.insight import describe, run_report
from tsm_jax.program import eval_variables, metrics
from tsm_jax.program import step as step_lib
from tsm_jax.runs import checkpoints, folders, identity, processes, progress

TrainState = step_lib.TrainState
make_train_step = step_lib.make_train_step


def train(config, workdir, log=print):  # noqa: C901 (the one long function)
  """Trains, or continues to train, the model of `config` in `workdir`.

  Args:
    config: as from `configs/common.py`.
    workdir: gets config.json, metrics.jsonl, checkpoints and a report.
    log: called with every line for the user.

  Returns:
    The final `TrainState` and the last `evaluate.Result`.

  Raises:
    InputError: if the configuration, the data or the checkpoint in `workdir`
      do not fit; a sentence says which value.
    SystemExit: after SIGTERM (`processes.EXIT_AGAIN`) or SIGINT (130), once
      the checkpoint is saved.
  """
  active = jax.process_index() == 0
  log = log if active else (lambda line: None)

  # --- Devices and data. ---
  mesh = sharding.create_mesh()
  sharding.check_batch_size(
    'batch_size', config.batch_size, mesh, config.accumulation
  )
  sharding.check_batch_size('eval.batch_size', config.eval.batch_size, mesh)
  # A wrong field is told before the data is built for hours.
  models.create_model({**config.model, 'num_classes': 1})
  preprocess.preprocessing_of(config)
  records.views_of(config)
  augment.check(config)
  pipeline.check_threads(config.data)
  checkpoints.check(config.checkpoint)
  manager = folders.open_latest(workdir, config.checkpoint.keep)
  best = folders.open_best(workdir, config.checkpoint.keep_best)
  if manager.latest_step() is None:
    init_from.check(config.init_from)
  config.model.update(
    models.config.local_to_ghost(
      config.model, config.batch_size // config.accumulation, mesh.size
    )
  )
  dataset = evaluate_lib.prepare_dataset(
    config.data, config.model.modality, log
  )
  built = builder.read_report(dataset)
  config.data.update(built['options'])  # those of a dataset built before
  labels = pipeline.label_names(dataset)
  train_source = pipeline.open_split(dataset, 'train')
  eval_source = pipeline.open_split(dataset, config.eval.split)
  sharding.check_enough(len(train_source))
  processes.check_same(
    {
      'data.source': built['name'],
      'training clips': len(train_source),
      'evaluated clips': len(eval_source),
    }
  )

  # --- Model, optimiser and state. ---
  config.model.num_classes = checked_num_classes(config.model, labels)
  preprocessing = preprocess.preprocessing_of(config)
  mirrored = flips.mirrored_classes(config.data.flip, labels)
  program = step_lib.build(
    config, mesh, config.model.num_classes, len(train_source), mirrored
  )
  model, total_steps = program.model, program.total_steps
  new_key = functools.partial(jax.random.key, config.seed)
  key = jax.jit(new_key, out_shardings=sharding.replicated(mesh))()
  eval_step = evaluate_lib.make_eval_step(model, preprocessing, mesh)
  used = eval_variables.make_used(
    model, config, preprocessing, mesh, train_source
  )

  # --- Where this run stands. ---
  meta = identity.describe(config, labels, built['name'])
  if manager.latest_step() is not None:
    state, saved = checkpoints.restore(manager, program.arguments[0], meta)
    window = saved['window']
    meta['initialised_from'] = saved['initialised_from']
    log(f'Continuing {workdir} at step {int(state.step)} of {total_steps}.')
  else:
    window = []
    state = program.init(key)
    if config.init_from:
      variables, meta['initialised_from'] = init_from.load(
        config.init_from, config.model, labels, log
      )
      shardings = program.shardings._asdict()
      places = {name: shardings[name] for name in variables}
      state = state._replace(**jax.device_put(variables, places))
  start_step = int(state.step)
  if active:
    identity.freeze_config(workdir, config)
  for line in describe.describe_model(model, preprocessing):
    log(line)
  for line in flips.describe(mirrored, labels):
    log(line)
  for line in describe.describe_plan(
    config,
    [n for split in built['num_frames'].values() for n in split],
    len(train_source),
    len(eval_source),
    total_steps,
    mesh,
  ):
    log(line)

  def save():
    progress.fetch(window)
    progress.check_finite(window)
    # A copy: the save goes on in the background while the window changes.
    checkpoints.save(
      manager,
      state,
      used(state, precise=not stop.signal),  # then there is no time for it
      {**meta, 'window': list(window)},
    )

  def evaluate(step):
    variables = used(state)
    result = evaluate_lib.evaluate(
      eval_step,
      variables,
      eval_source,
      config,
      preprocessing,
      mesh,
      stop=lambda: watchdog.beat() or stop.reached(),
      validation=True,
    )
    if result is None or step in evaluated:
      return result
    checkpoints.save_best(
      best,
      config.checkpoint.keep_best,
      manager,
      step,
      variables,
      meta,
      result.top1,
    )
    scalars = {name: getattr(result, name) for name in ('top1', 'top5', 'loss')}
    writer.write(step, {f'eval/{k}': v for k, v in scalars.items()})
    if active:
      bar.write(
        f'step {step}: {config.eval.split} top-1 {result.top1:.2%}, '
        f'top-5 {result.top5:.2%} of {result.num_clips} clips'
      )
    return result

  # Before the first batch, as processes take different times to compile and
  # some collective operations wait half a minute only.
  train_step = program.train_step.lower(*program.arguments).compile()
  sharding.barrier('compiled')

  # --- The loop. ---
  eval_every = max(1, round(config.eval.every_epochs * program.steps_per_epoch))
  evaluated = {r['step'] for r in metrics.read(workdir) if 'eval/top1' in r}
  ahead = pipeline.ahead(
    pipeline.train_batches(
      train_source, config, preprocessing, start_step, sharding.process()
    )
  )
  bar = tqdm.tqdm(
    total=total_steps,
    initial=start_step,
    unit='step',
    dynamic_ncols=True,
    mininterval=0.5 if os.isatty(2) else 10,
    disable=not active,
  )
  result = None
  watchdog = processes.Watchdog(config.stall_seconds)
  writer = metrics.Writer(workdir, start_step, active)
  with (
    contextlib.closing(ahead) as batches,
    writer,
    progress.Stop() as stop,
    watchdog,
    bar,
  ):
    watchdog.beat()  # all are here, and none waits for a compiler any more
    due = 0 < start_step < total_steps and start_step % eval_every == 0
    if due and start_step not in evaluated:
      evaluate(start_step)  # it was killed after the save and before this
    clock = progress.Clock()
    for step in range(start_step + 1, total_steps + 1):
      batch = clock.batch(batches)
      state, values = train_step(state, sharding.to_devices(batch, mesh), key)
      window.append(values)
      if len(window) > 1:
        jax.block_until_ready(window[-2])  # at most two steps in flight
      watchdog.beat()
      if step % config.log_every_steps == 0 or step == total_steps:
        means = progress.means(window)
        progress.check_finite(window)
        rates = clock.rates(config.batch_size)
        window.clear()
        rate = float(program.schedule(step - 1))
        writer.write(
          step,
          {
            **{f'train/{name}': value for name, value in means.items()},
            'learning_rate': rate,
            **rates,
          },
        )
        bar.set_postfix_str(
          f'loss {means["loss"]:.3f}, top-1 {means["top1"]:.1%}, '
          f'{rates["clips_per_s"]:.0f} clips/s, '
          f'waiting for data {rates["data_wait"]:.0%}',
          refresh=False,
        )
      bar.update()
      last = step == total_steps
      stopping = stop.reached()
      if stopping or last or step % config.checkpoint.every_steps == 0:
        save()
      if not stopping and (last or step % eval_every == 0):
        with clock.paused(state):
          result = evaluate(step)
      if stopping:
        break
    if start_step == total_steps:
      log(f'This run finished at step {total_steps}; evaluating it.')
      result = evaluate(total_steps)
    checkpoints.wait(manager)
  if stop.signal:
    last = manager.latest_step()
    log(f'{stop.signal.name}: step {last} is saved; run again to continue.')
    raise SystemExit(processes.status_of(stop.signal))
  if active and result is not None:
    path = run_report.write(workdir, labels, result)
    log(f'top-1 {result.top1:.2%}; the report is {path}')
  sharding.barrier('ended')  # so that nobody leaves while another one works
  return state, result


def checked_num_classes(model_config, labels):
  """The number of classes of the dataset; the field must be that or 0."""
  if model_config.num_classes not in (0, len(labels)):
    raise errors.InputError(
      f'model.num_classes is {model_config.num_classes}, but the dataset has '
      f'{len(labels)} classes; leave it at 0 to take them from the dataset.'
    )
  return len(labels)
