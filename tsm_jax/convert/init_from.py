"""Starts a new run from the weights of another run or of PyTorch."""

from tsm_jax import convert, errors, files, models
from tsm_jax.convert import fit, weight_files
from tsm_jax.runs import checkpoints, folders


def check(path):
  """Raises InputError unless `init_from` is '', a file or a checkpoint."""
  if not path:
    return
  source = files.path(path)
  if not source.exists():
    raise errors.InputError(
      f'init_from is {path!r}, but there is no such file or workdir.'
    )
  if source.is_dir():
    folders.find(path)


def load(path, model_config, labels, log):
  """The variables that a new run starts from.

  The classifier is a new one if the source has another number of classes or
  names other classes. The shift may differ, since it has no weights. An RGB
  stem is adapted to optical flow, and non-local blocks that the source does not
  have are initialised.

  Args:
    path: a file for `convert.from_torch` or a path for
      `checkpoints.restore_model`.
    model_config: fields of the model to train, with `num_classes`.
    labels: class names of the dataset.
    log: called with a sentence about everything that is not kept.

  Returns:
    `(variables, origin)`: 'params' and 'batch_stats' as NumPy arrays, and a
    JSON-able dict that names their source.

  Raises:
    InputError: if the source cannot be read or has another architecture.
  """
  config = {**models.DEFAULTS, **model_config}
  source = files.path(path)
  log(f'Starting from {path}.')
  try:
    if source.is_dir():
      return _from_ours(source, config, labels, log)
    log(
      'A file of PyTorch does not name its classes: if the dataset has as '
      'many, they are assumed to be the same, in the same order.'
    )
    _, variables = convert.from_torch(source, log=log, **config)
  except (errors.InputError, ImportError) as error:
    raise errors.InputError(f'init_from is {path!r}: {error}') from error
  sha256 = weight_files.sha256(source)
  return variables, {'file': source.name, 'sha256': sha256}


def _from_ours(source, config, labels, log):
  trained = checkpoints.restore_model(source)
  other = [
    (theirs, ours)
    for theirs, ours in zip(trained.labels, labels)
    if theirs != ours
  ]
  # A classifier with another number of classes is dropped anyway.
  renamed = bool(other) and len(labels) == len(trained.labels)
  if renamed:
    theirs, ours = other[0]
    log(
      f'The classifier of {len(labels)} classes is dropped for a new one: it '
      f'has {theirs!r} where the dataset has {ours!r}.'
    )
  variables = fit.from_ours(
    {**models.DEFAULTS, **trained.config},
    trained.variables,
    config,
    keep_head=not renamed,
    log=log,
  )
  origin = {
    'run': trained.meta['config']['name'],
    'step': trained.step,
    'converted_from': trained.meta.get('converted_from'),
  }
  return variables, origin
