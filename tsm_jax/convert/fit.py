"""Variables of a configured model from weights by plain name."""

import functools

from absl import logging
import jax
import jax.numpy as jnp
import numpy as np

from tsm_jax import errors, models
from tsm_jax.convert import infer, naming
from tsm_jax.models import batch_norm, classifier, non_local


def fit(config, weights, num_classes, origin, log):
  """Variables of the configured model, all or none.

  Args:
    config: of the model.
    weights: arrays in PyTorch's layout by plain name; a classifier of another
      number of classes is dropped from them, an RGB stem made that of another
      modality.
    num_classes: of the classifier in `weights`, or None.
    origin: what to call a weight in a message, by plain name.
    log: called with a sentence on what is dropped, remade or new.

  Returns:
    'params' and 'batch_stats' as NumPy arrays.

  Raises:
    InputError: if weights are missing, left over or of another shape; it names
      them all.
  """
  _fit_head(weights, num_classes, config['num_classes'], log)
  _fit_stem(weights, config, log)
  return _fill(config, weights, origin, log)


def from_ours(
  old_config, variables, config, *, keep_head=True, log=logging.warning
):
  """Variables of one model of ours for another one, by the same rules.

  Args:
    old_config: of the model that `variables` are of.
    variables: 'params' and 'batch_stats'.
    config: of the model that they are wanted for.
    keep_head: whether a classifier of as many classes is taken over.
    log: called with a sentence on what is dropped, remade or new.

  Returns:
    'params' and 'batch_stats' as NumPy arrays.

  Raises:
    InputError: as `fit`; if they are of another network.
  """
  check_name('The checkpoint', old_config['name'], config['name'])
  weights = {}
  for path, leaf in flat(variables).items():
    plain = naming.of_leaf(path[1:], old_config['name'])
    if keep_head or not infer.is_head(plain):
      weights[plain] = to_torch_layout(np.asarray(leaf), plain)
  log_differences(old_config, config, log)
  classes = old_config['num_classes'] if keep_head else None
  origin = {name: name for name in weights}
  return fit(config, weights, classes, origin, log)


def check_name(where, found, wanted):
  """Raises InputError if weights are of another network than is wanted."""
  if found != wanted:
    raise errors.InputError(
      f'{where} holds the weights of a {found}, but model.name is {wanted!r}.'
    )


def log_differences(told, config, log):
  """Says where a model is not shifted as the one that its weights are of.

  Args:
    told: what is known of that model, a part of its configuration.
    config: of the model that the weights are taken for.
    log: called with a sentence for each difference.
  """
  fields = ('shift', 'direction', 'fold_div')
  if 'none' in (told.get('shift'), config['shift']):
    fields = ('shift',)  # without it, the others mean nothing
  for field in fields:
    if told.get(field) not in (None, config[field]):
      log(
        f'The weights look like those of a model with {field}={told[field]!r}, '
        f'but {field}={config[field]!r} is taken.'
      )


def by_plain_name(arrays, names):
  """Arrays of a file by plain name; `names` maps to the official one."""
  weights = {}
  for name, value in arrays.items():
    plain = naming.plain(names[name])
    if plain in weights:
      raise errors.InputError(
        f'Two weights are for {plain}, one of them is {name}.'
      )
    weights[plain] = value
    if name.endswith('.conv_out.conv.weight'):
      # OpenMMLab's last product in the attention has no bias.
      bias = plain.replace('.weight', '.bias')
      weights[bias] = np.zeros(value.shape[:1], np.float32)
  return weights


def _fit_head(weights, in_file, num_classes, log):
  """Drops a classifier of another number of classes, in place."""
  if not num_classes:
    raise errors.InputError(
      'The weights have no classifier of videos; give num_classes for a new '
      'one.'
    )
  if in_file not in (None, num_classes):
    log(
      f'The classifier of {in_file} classes is dropped for a new one of '
      f'{num_classes}.'
    )
    for leaf in ('weight', 'bias'):
      weights.pop(f'head.{leaf}', None)


def _fit_stem(weights, config, log):
  """Makes the stem of another modality from an RGB one, in place.

  Every new channel has the mean over the RGB channels, as the authors have it
  for optical flow.
  """
  name = naming.of_leaf(('conv1', 'kernel'), config['name'])
  channels = classifier.CHANNELS.get(config['modality'], 3)
  if name in weights and weights[name].shape[1] == 3 != channels:
    mean = weights[name].mean(axis=1, keepdims=True)
    weights[name] = np.repeat(mean, channels, axis=1)
    log(f'The stem for {config["modality"]} is the mean of that for RGB.')


def _fill(config, weights, origin, log):
  model = models.create_model(config)
  size = (
    1,
    config['num_frames'],
    32,
    32,
    classifier.CHANNELS[config['modality']],
  )
  shapes = flat(jax.eval_shape(model.init, jax.random.key(0), jnp.zeros(size)))
  names = {p: naming.of_leaf(p[1:], config['name']) for p in shapes}
  fresh = [p for p, k in names.items() if _may_be_new(k, weights)]
  if fresh:
    log(f'New weights: {", ".join(sorted(names[p] for p in fresh))}.')
  leaves = _new_leaves(fresh, shapes)
  missing, other_shape = [], []
  for path in set(shapes) - set(fresh):
    name, shape = names[path], shapes[path].shape
    if name not in weights:
      missing.append(f'{name} {_torch_shape(shape, name)}')
    elif _to_flax_layout(weights[name]).shape != shape:
      expected = _torch_shape(shape, name)
      other_shape.append(f'{name} {weights[name].shape} for {expected}')
    else:
      leaves[path] = _to_flax_layout(weights[name])
  extra = set(weights) - set(names.values())
  unknown = [f'{origin[k]} {weights[k].shape}' for k in extra]
  if missing or other_shape or unknown:
    raise errors.InputError(
      f'The weights do not fit {_describe(config)}. Missing: {_join(missing)}. '
      f'Of another shape: {_join(other_shape)}. Not known: {_join(unknown)}.'
    )
  return _nest(leaves)


def _may_be_new(name, weights):
  """Whether a missing weight starts anew: a head, or NL blocks all together."""
  if '.nl.' in name:
    return not any('.nl.' in k for k in weights)
  return name.startswith('head.') and not any(
    k.startswith('head.') for k in weights
  )


def _new_leaves(paths, shapes):
  """A head and non-local blocks as training from scratch draws them."""
  leaves = {}
  for i, module in enumerate(sorted({path[1] for path in paths})):
    if module == 'head':
      kernel = shapes['params', 'head', 'kernel'].shape
      layer, x = classifier.head(kernel[1]), jnp.zeros((1, kernel[0]))
    else:
      norm = functools.partial(batch_norm.BatchNorm, train=False)
      channels = shapes['params', module, 'out_bn', 'scale'].shape
      layer, x = non_local.NonLocal(1, norm), jnp.zeros((1, 2, 2, *channels))
    variables = layer.init(jax.random.key(i), x)
    for (collection, *rest), leaf in flat(variables).items():
      leaves[collection, module, *rest] = np.asarray(leaf)
  return leaves


def _describe(config):
  fields = {'resnet': ('depth', 'shift', 'non_local', 'num_classes')}.get(
    config['name'], ('shift', 'num_classes')
  )
  return f'{config["name"]} ' + ', '.join(f'{k}={config[k]}' for k in fields)


def _join(items):
  return ', '.join(sorted(items)) or 'none'


def flat(variables):
  """Leaves by path, the collection first."""
  leaves = jax.tree_util.tree_leaves_with_path(variables)
  return {tuple(key.key for key in path): leaf for path, leaf in leaves}


def _nest(leaves):
  variables = {}
  for path in sorted(leaves):
    tree = variables
    for key in path[:-1]:
      tree = tree.setdefault(key, {})
    tree[path[-1]] = leaves[path]
  return variables


def _to_flax_layout(value):
  """OIHW to HWIO, (out, in) and 1x1x1 kernels to (in, out)."""
  if value.shape[2:] == (1, 1, 1):
    value = value[:, :, 0, 0, 0]
  axes = (2, 3, 1, 0) if value.ndim == 4 else None
  return np.ascontiguousarray(value.transpose(axes))


def to_torch_layout(value, name):
  axes = (3, 2, 0, 1) if value.ndim == 4 else None
  value = value.transpose(axes)
  if '.nl.' in name and value.ndim == 2:
    value = value[:, :, None, None, None]
  return np.ascontiguousarray(value)


def _torch_shape(shape, name):
  return to_torch_layout(np.broadcast_to(np.float32(0), shape), name).shape
