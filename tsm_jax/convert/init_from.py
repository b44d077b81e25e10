"""Starts a new run from the weights of another run or of PyTorch."""

import jax

from tsm_jax import convert, errors, files, modalities, models, sharding
from tsm_jax.convert import fit, images, weight_files
from tsm_jax.convert.hub import fetch, names, pretrained
from tsm_jax.data import defaults
from tsm_jax.data.sources import listings
from tsm_jax.runs import checkpoints, folders, processes, steps


def check(path, model_config=models.DEFAULTS, log=print):
  """Raises InputError unless `init_from` is '', a file or a checkpoint.

  Weights of the hub are fetched, by the first of several processes before the
  others, which then find them if they share its cache.

  Args:
    path: the field `init_from`, see `names.parse`.
    model_config: fields of the model to train.
    log: called with a sentence if the network is not there.
  """
  if not path:
    return
  named = names.parse(path, {**models.DEFAULTS, **model_config})
  # Or some would wait for others, for which it is a path.
  processes.check_same({'init_from, which is': str(named or 'a path')})
  if named:
    _fetch_in_turn(path, named, log)
    return
  source = files.path(path)
  if not source.exists():
    raise errors.InputError(
      f'init_from is {path!r}, but there is no such file or workdir'
      f'{names.on_the_hub(path)}.'
    )
  if source.is_dir():
    folders.find(path)


def model_fields(path, model_config, log):
  """The fields of the model whose weights a new run starts from.

  Args:
    path: as for `load`, or ''.
    model_config: fields of the model to train, of which some may be None.
    log: called with a sentence if the network is not there.

  Returns:
    A dict, see `models.DEFAULTS`; {} for 'imagenet', of which there are many;
    None for ''.

  Raises:
    InputError: if the source cannot be read.
  """
  if not path:
    return None
  if path == 'imagenet':
    return {}
  named = names.parse(path, model_config)
  processes.check_same({'init_from, which is': str(named or 'a path')})
  if named:
    source = files.path(_fetch_in_turn(path, named, log).path)
  else:
    check(path)
    source = files.path(path)
  if source.is_dir():
    folder, step = folders.find(source)
    step, meta, _ = steps.choose(folder, step, log=lambda line: None)
    return dict(meta['config']['model'])
  try:
    return convert.read(source, log=lambda line: None).config
  except (errors.InputError, ImportError) as error:
    raise errors.InputError(f'init_from is {path!r}: {error}') from error


def _fetch_in_turn(path, named, log):
  """As `_fetch`, by the first of several processes before the others."""
  for turn in (jax.process_index() == 0, jax.process_index() > 0):
    if turn:
      fetched = _fetch(path, named, log)
    sharding.barrier('weights are fetched')
  return fetched


def _fetch(path, named, log):
  """The `fetch.Fetched` of weights on the hub."""
  try:
    fetched = fetch.weights(named, log)
    pretrained.refuse_pooled(fetched)
    return fetched
  except errors.InputError as error:
    or_else = 'there is no such file or workdir here, and on the hub: '
    if path == 'imagenet' or path.startswith(names.SCHEME):
      or_else = ''
    raise errors.InputError(
      f'init_from is {path!r}: {or_else}{error}'
    ) from error


def load(path, model_config, labels, log, data=None):
  """The variables that a new run starts from.

  The classifier is a new one if the source has another number of classes or
  names other classes. The shift may differ, since it has no weights. An RGB
  stem is adapted to optical flow, and non-local blocks that the source does not
  have are initialised.

  Args:
    path: a file for `convert.from_torch`, a path for
      `checkpoints.restore_model`, or a name on the hub, see `names.parse`.
    model_config: fields of the model to train, with `num_classes`.
    labels: class names of the dataset.
    log: called with a sentence about everything that is not kept.
    data: fields of the section `data`, to compare with those of the weights.

  Returns:
    `(variables, origin)`: 'params' and 'batch_stats' as NumPy arrays, and a
    JSON-able dict that names their source.

  Raises:
    InputError: if the source cannot be read or has another architecture.
  """
  config = {**models.DEFAULTS, **model_config}
  log(f'Starting from {errors.printable(path)}.')
  fetched = None
  if named := names.parse(path, config):
    fetched = _fetch(path, named, log)
    log(f'It is {fetch.shown(fetched)}.')
    processes.check_same({'init_from': fetched.origin})
    pretrained.compare(fetched, config['modality'], data, log)
  source = files.path(fetched.path if fetched else path)
  try:
    if source.is_dir():
      return _from_ours(source, config, labels, log, data)
    variables = _from_file(source, config, labels, log, data)
  except (errors.InputError, ImportError) as error:
    raise errors.InputError(f'init_from is {path!r}: {error}') from error
  if fetched:
    return variables, fetched.origin
  sha256 = weight_files.sha256(source)
  return variables, {'file': source.name, 'sha256': sha256}


def _from_file(source, config, labels, log, data):
  converted = convert.read(source, log=log, **config)
  if config['modality'] == 'rgb':  # the others' images are made in other ways
    theirs = converted.data
    if config['name'] == 'bn_inception':  # all there are, are Caffe's
      usual = modalities.normalization(config['name'], config['modality'])
      theirs = {**usual._asdict(), **theirs}
    images.compare(theirs, data, log)
  if converted.labels is None:
    log(
      'The file does not name its classes: if the dataset has as many, they '
      'are assumed to be the same, in the same order: '
      f'{listings.shown(labels)}.'
    )
  elif _renamed(converted.labels, labels, log):
    return fit.from_ours(
      converted.config, converted.variables, config, keep_head=False, log=log
    )
  return converted.variables


def _renamed(theirs, ours, log):
  """Whether a classifier has as many classes, but others; that is logged."""
  other = [pair for pair in zip(theirs, ours) if pair[0] != pair[1]]
  if not other or len(theirs) != len(ours):
    return False  # one with another number of classes is dropped anyway
  order = sorted(theirs) == sorted(ours)
  log(
    f'The classifier of {len(ours)} classes is dropped for a new one: it has '
    f'{other[0][0]!r} where the dataset has {other[0][1]!r}'
    + (
      '. The classes are the same in another order: to keep it, name them in '
      f'its order by data.labels ({listings.shown(theirs)}).'
      if order
      else '.'
    )
  )
  return True


def _from_ours(source, config, labels, log, data):
  trained = checkpoints.restore_model(source)
  if config['modality'] == trained.config.modality:
    images.compare(vars(trained.preprocessing), data, log)
  _tell_seen(trained, data, log)
  variables = fit.from_ours(
    {**models.DEFAULTS, **trained.config},
    trained.variables,
    config,
    keep_head=not _renamed(trained.labels, labels, log),
    log=log,
  )
  origin = {
    'run': trained.meta['config']['name'],
    'step': trained.step,
    'converted_from': trained.meta.get('converted_from'),
  }
  return variables, origin


def _tell_seen(trained, data, log):
  """Says so where other clips of the same videos are held out now."""
  theirs = trained.meta['config']['data']
  source = theirs.get('source')  # none of a converted model
  if data is None or not source or source != data['source']:
    return
  old, new = (defaults.Splits.from_fields(x)._asdict() for x in (theirs, data))
  other = [
    f'data.{name} is {value!r} (there {old[name]!r})'
    for name, value in new.items()
    if value != old[name]
  ]
  if other:
    log(
      'The weights may have been trained on clips that are held out here: '
      f'{", ".join(other)}.'
    )
