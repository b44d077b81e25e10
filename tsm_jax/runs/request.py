"""What can be asked of a trained model that its training did not fix."""

import dataclasses
import json

import jax
import ml_collections

from tsm_jax import configuration, errors
from tsm_jax.configs import frozen
from tsm_jax.data import defaults
from tsm_jax.data.input import preprocess
from tsm_jax.runs import identity

# How a trained model looks at a video; no weight depends on it.
FREE = (
  'data.frame_interval',
  'data.image_size',
  'data.sampling',
  'model.consensus',
  'model.consensus_from',
  'model.dtype',
  'model.num_frames',
)
# What was decided when the weights were trained.
FIXED = (
  'model.',
  'data.mean',
  'data.std',
  'data.divisor',
  'data.channel_order',
  'data.multi_label',
  'ema_decay',
  'eval.precise_bn_batches',
)
TRAINING = (  # of the former prefixes, what matters while training only
  'data.frame_interval_jitter',
  'model.bn_stats',
  'model.dropout',
  'model.ghost_clips',
  'model.partial_bn',
  'model.remat',
  'model.shift_form',
)


def adapt(trained, config, asked, log=print):
  """A trained model that looks at videos as somebody asks.

  Args:
    trained: a `checkpoints.TrainedModel`.
    config: a configuration.
    asked: names of its fields that somebody has set ('data.sampling'); the
      others do not count.
    log: called with a line for every field that differs from training.

  Returns:
    A `TrainedModel` of the same weights.

  Raises:
    InputError: if a field contradicts the weights, or is impossible.
  """
  own, given = _fields(trained), _flat(config.to_dict())
  changed = {}
  for field in sorted(asked):
    if field.startswith(TRAINING) or not field.startswith(FREE + FIXED):
      continue
    new, old = given[field], own[field]
    if new == old or (field == 'model.num_classes' and new == 0):
      continue
    if field not in FREE:
      raise errors.InputError(
        f'{field} is {new!r}, but the model was trained with {old!r}; leave it '
        'out. Of a trained model, views (eval.clips, eval.crops, eval.'
        f'full_resolution) and {", ".join(FREE)} can be asked for.'
      )
    if jax.process_index() == 0:
      log(f'{field} is {new}; the model was trained with {old}.')
    changed[field] = new
  if not changed:
    return trained
  whole = ml_collections.ConfigDict(trained.meta['config'])
  whole.model = trained.config.copy_and_resolve_references()
  changed['data.frame_interval_jitter'] = 0.0  # of training only
  whole.update_from_flattened_dict(changed)
  trained = dataclasses.replace(
    trained,
    config=whole.model,
    preprocessing=preprocess.Preprocessing.from_config(whole),
  )
  trained.module()  # checks the fields
  return trained


def multi_label(trained):
  """Whether a `TrainedModel` has a sigmoid of each class, not a softmax."""
  data = trained.meta.get('config', {}).get('data', {})
  return data.get('multi_label', False)


def require_one_label(trained, what):
  """Raises InputError if a model has a sigmoid of each class, not a softmax.

  Args:
    trained: a `checkpoints.TrainedModel`.
    what: needs probabilities that add up to 1, a plural.
  """
  if multi_label(trained):
    raise errors.InputError(
      'The model was trained with data.multi_label=True, for clips of several '
      f'labels; {what} are for models of one label per clip.'
    )


def describe(trained, config, asked):
  """How a `TrainedModel` looks at a video, for the JSON of a result.

  Args:
    trained: a `TrainedModel`.
    config: the configuration of the evaluation.
    asked: names of its fields that somebody has set, which are noted.
  """
  given = _flat(config.to_dict())
  names = ('num_frames', 'sampling', 'image_size')
  return {
    **{name: getattr(trained.preprocessing, name) for name in names},
    'dtype': trained.config.dtype,
    'frame_interval': trained.preprocessing.frame_interval,
    'consensus': trained.config.consensus,
    'consensus_from': trained.config.consensus_from,
    'asked': {f: given[f] for f in sorted(asked) if f in given and f != 'name'},
  }


def check_data(trained, config, asked, dataset, log=print):
  """Raises InputError if a built dataset does not hold what is asked for.

  Args:
    trained: the `TrainedModel` that is to be evaluated on it.
    config: a configuration.
    asked: as for `adapt`.
    dataset: a `Dataset`.
    log: called with a line if the model was trained on another one, or with
      another fold held out.
  """
  data = config.data
  several = multi_label(trained)
  if several != dataset.multi_label:
    kinds = 'one label per clip', 'several labels per clip'
    raise errors.InputError(
      f'The model was trained for {kinds[several]}, the dataset '
      f'{dataset.name} has {kinds[dataset.multi_label]}; evaluate on one like '
      'that of the training.'
    )
  tell_other_data(trained, dataset, log, data.get('fold', 0))
  check_stored(config, asked, dataset.options)


def check_stored(config, asked, options=None):
  """Raises InputError if a built dataset holds clips in another form.

  Args:
    config: a configuration.
    asked: names of its fields that somebody has set.
    options: of the dataset, see `Dataset.options`; by default those of
      data.source, if it is a built one.
  """
  data = config.data
  if options is None:
    # Here, as predictions do not wait for what builds datasets.
    from tsm_jax.data.store import build_report

    if not data.source or not build_report.exists(data.source):
      return
    options = build_report.read(data.source)['options']
  for name, usual in defaults.USUAL._asdict().items():
    there = options.get(name, usual)
    if f'data.{name}' in asked and data[name] != there:
      raise errors.InputError(
        f'data.{name} is {data[name]!r}, but the built dataset '
        f'{data.source!r} holds clips with {there!r}; '
        'leave it out, or give the videos as data.source.'
      )


def tell_other_data(trained, dataset, log, fold=None):
  """Says so if clips are not those that were held out of a training.

  What is held out in another dataset, or as another fold, may have been
  trained on.

  Args:
    trained: a `TrainedModel`.
    dataset: a `Dataset`.
    log: called with a line, by the first process.
    fold: which one is held out; None if that is as in the training.

  Returns:
    The line, or ''.
  """
  own, line = trained.meta.get('dataset'), ''
  # Folds share a dataset, and its name does not tell them apart.
  held_out = trained.meta.get('config', {}).get('data', {}).get('fold', 0)
  if own and not identity.same_content(own, dataset.name):
    line = f'The dataset is {dataset.name}; the model was trained on {own}.'
  elif own and fold not in (None, held_out):
    line = (
      f'data.fold is {fold}, but the model was trained with '
      f'data.fold={held_out}: it has seen clips of that fold in training.'
    )
  if line and jax.process_index() == 0:
    log(line)
  return line


def _fields(trained):
  """The fields that a model was trained with; defaults where they are newer."""
  return {
    **_flat(frozen.before().to_dict()),
    **_flat(trained.meta['config']),
    **_flat({'model': trained.config.to_dict()}),
  }


def _flat(config):
  """As it is after it was written and read: without tuples."""
  return configuration.flatten(json.loads(json.dumps(config)))
