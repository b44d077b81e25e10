"""What a run is: its configuration, and when another one continues it."""

from importlib import metadata
import json
import platform
import re

import tsm_jax
from tsm_jax import configuration, errors, files
from tsm_jax.configs import frozen, warm_up

# Whose versions a checkpoint keeps.
LIBRARIES = (
  'flax',
  'grain',
  'jax',
  'jaxlib',
  'numpy',
  'optax',
  'orbax-checkpoint',
  'tensorflow-datasets',
)

CONFIG = 'config.json'

# Fields that may differ when a run is continued: they do not change its result.
FREE = (
  'checkpoint.',
  'eval.',
  'fsdp',
  'init_from',  # only a new run reads it
  'log_every_steps',
  'model.remat',
  'model.shift_form',
  'stall_seconds',
  'name',
  'data.data_dir',
  'data.dataset',  # the name of what data.source holds
  'data.labels',  # a file, whose labels are compared
  'data.max_excluded',
  'data.num_threads',
  'data.source',  # the dataset itself is compared by its hash
)
# Of these, what may not: measures of two kinds are no curve, and name no best.
BOUND = ('eval.clips', 'eval.crops', 'eval.full_resolution', 'eval.split')
# Fields that may differ once a run has diverged, of which `DIVERGED` is the
# note in its workdir.
RATE = (
  'base_learning_rate',
  'learning_rate',
  'optimizer.clip_norm',
  'optimizer.head_scale',
  'schedule.',
)
DIVERGED = 'diverged.json'
# Fields that are left out of what a run writes while they are as before there
# were any, so that a version that does not know them can go on with it.
NEWER = (
  'data.background',
  'data.balance',
  'data.fold',
  'data.folds',
  'data.frame_interval',
  'data.frame_interval_jitter',
  'data.group',
  'data.holdout_rule',
  'data.multi_label',
  'eval.patience',
  'model.consensus',
  'model.consensus_from',
  'model.downsample',
  'model.shift_form',
  'model.stem',
  'optimizer.kind',
)
# Of the free ones, what may differ between the processes of a run.
OF_A_HOST = ('data.data_dir', 'data.num_threads', 'data.source')


def freeze_config(workdir, config):
  """Writes the effective configuration to `workdir/config.json`."""
  text = json.dumps(_written(config), indent=1, allow_nan=False)
  files.write(files.path(workdir) / CONFIG, text)


def describe(config, labels, dataset, interval=None):
  """The JSON item of a checkpoint, without what changes from step to step.

  Args:
    config: the resolved configuration.
    labels: class names by index.
    dataset: its name.
    interval: the `intervals.Interval` of its training clips, if it is known.
  """
  return {
    'config': _written(config),
    'labels': labels,
    'dataset': dataset,
    'frame_interval': interval.as_dict() if interval else None,
    'initialised_from': None,  # see `init_from`
    'versions': {
      'tsm_jax': tsm_jax.__version__,
      'python': platform.python_version(),
      **{name: metadata.version(name) for name in LIBRARIES},
    },
  }


def check_same(folder, saved, meta):
  """Raises InputError if a run contradicts the checkpoint in `folder`.

  Args:
    folder: of the checkpoints.
    saved: the JSON item of the last one.
    meta: from `describe`, of the run that is to continue.
  """
  workdir = files.path(folder).parent
  fields = differing(saved['config'], meta['config'])
  allowed = RATE if (workdir / DIVERGED).exists() else ()
  refused = {
    field: values
    for field, values in fields.items()
    if not field.startswith(allowed)
    and not (field == 'epochs' and _may_train_longer(saved, meta))
  }
  if saved['labels'] != meta['labels']:
    refused['labels'] = saved['labels'], meta['labels']
  if not same_content(saved['dataset'], meta['dataset']):
    refused['dataset'] = saved['dataset'], meta['dataset']
  if refused:
    raise errors.InputError(
      _other_run(f'The checkpoint in {folder} is', workdir, refused)
    )


def check_new(workdir, config):
  """Raises InputError if a new run would mix with the best models of another.

  A run that is killed before its first checkpoint may leave such models.

  Args:
    workdir: which holds no checkpoint.
    config: the resolved configuration of the new run.
  """
  workdir = files.path(workdir)
  best, frozen = workdir / 'best', workdir / CONFIG
  if not best.is_dir() or not frozen.exists():
    return
  if not any(path.name.isdigit() for path in best.iterdir()):
    return
  if fields := differing(files.read_json(frozen), _as_json(config)):
    raise errors.InputError(
      _other_run(f'The models in {best} are', workdir, fields)
    )


def differing(old, new):
  """`{field: (there, now)}` of two configurations, but for the free fields.

  Args:
    old: as JSON, of a checkpoint. A field that is not there was as in
      `frozen.before`.
    new: as JSON, of the run that is to continue.
  """
  old, new = map(configuration.flatten, (old, new))
  defaults = configuration.flatten(_as_json(frozen.before()))
  usual = {k: v for k, v in defaults.items() if k in {*old, *new}}
  old, new = {**usual, **old}, {**usual, **new}
  return {
    field: (old.get(field), new.get(field))
    for field in sorted(old.keys() | new.keys())
    if (field in BOUND or not field.startswith(FREE))
    and old.get(field) != new.get(field)
  }


def _may_train_longer(saved, meta):
  """Whether more epochs leave the learning rate of all others as it was."""
  old, new = saved['config'], meta['config']
  if old['epochs'] > new['epochs'] or new['schedule']['kind'] != 'step':
    return False
  # Of a large batch, a short run warms up for a tenth of it.
  return warm_up.epochs(old) == warm_up.epochs(new)


def same_content(one, other):
  """Whether two datasets hold the same, by their names.

  A name begins with that of the folder, which may change, and ends with the
  hash of all that decides the content.

  >>> same_content('videos-0123456789', 'moved-0123456789')
  True
  """
  return one.rpartition('-')[2] == other.rpartition('-')[2]


def _other_run(what, workdir, fields):
  """The sentence that names the fields and says what to do."""
  listed = '; '.join(
    f'{field} (there {old!r}, now {now!r})'
    for field, (old, now) in fields.items()
  )
  message = (
    f'{what} of another run; choose another --workdir (of a sweep, each run '
    f'needs its own, such as {_example(workdir, fields)}), or the same values '
    f'of: {listed}. To continue it as it is, give --workdir={workdir} and no '
    '--config.'
  )
  if not set(BOUND).isdisjoint(fields):
    message += ' To evaluate it in another way, use --mode=eval.'
  there, now = fields.get('epochs', (0, 0))
  if there < now:
    message += (
      ' More epochs change the rate of all others unless schedule.kind is '
      'step and the warm-up as long as before; to train longer, start a new '
      f'run by init_from={workdir}.'
    )
  return message


def _example(workdir, fields):
  """A name of a workdir that tells of the first field that differs."""
  field, (_, value) = next(iter(fields.items()))
  name = f'{field.rpartition(".")[2]}={value}'
  if not re.fullmatch(r'[\w.=-]{1,40}', name):
    name = '2'
  return workdir.parent / f'{workdir.name}-{name}'


def shared_fields(config):
  """The fields of a configuration that all processes of a run must share."""
  flat = configuration.flatten(_as_json(config))
  return {k: v for k, v in flat.items() if k not in OF_A_HOST}


def _written(config):
  """A configuration as JSON, without the `NEWER` fields as before them."""
  whole, before = _as_json(config), _as_json(frozen.before())
  for name in NEWER:
    section, _, field = name.partition('.')
    fields = whole.get(section, {})  # a converted model has no optimizer
    if fields.get(field) == before[section][field]:
      fields.pop(field, None)
  return whole


def _as_json(config):
  """A configuration as it is after it was written and read: without tuples."""
  return json.loads(json.dumps(config.to_dict()))
