"""What a new run starts from: weights of another one, or of PyTorch."""

from tsm_jax import convert, errors, files, models
from tsm_jax.convert import fit, weight_files
from tsm_jax.runs import checkpoints, folders


def check(path):
  """Raises InputError unless `init_from` is '' or something to start from."""
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
  """The variables of a new run from `init_from`.

  The classifier is a new one if it has another number of classes or, where the
  source names them, other classes. The shift may differ, as it has no weights;
  a stem for optical flow is made from one for RGB; non-local blocks that the
  source does not have start anew.

  Args:
    path: a file that `convert.from_torch` reads, or as of
      `checkpoints.restore_model`.
    model_config: of the model to train, with its number of classes.
    labels: the class names of the dataset.
    log: called with a sentence on everything that is not taken over.

  Returns:
    `(variables, origin)`: params and batch_stats as NumPy arrays, and a
    JSON-able dict that says where they are from.

  Raises:
    InputError: if the source cannot be read or is of another architecture.
  """
  config = {**models.DEFAULTS, **model_config}
  source = files.path(path)
  log(f'Starting from {path}.')
  try:
    if source.is_dir():
      return _from_ours(source, config, labels, log)
    log(
      'A file of PyTorch does not name its classes: if they are as many as '
      'those of the dataset, they are taken to be the same in the same order.'
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
  # Of another number of classes, it is dropped anyway.
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
