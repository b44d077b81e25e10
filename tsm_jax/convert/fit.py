"""Variables of a configured model, from weights by plain name."""

import functools

from absl import logging
from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from tsm_jax import errors, models
from tsm_jax.convert import checks, infer, naming
from tsm_jax.convert.reading import state_dicts
from tsm_jax.models import classifier
from tsm_jax.models.layers import batch_norm, non_local


def fit(config, weights, num_classes, origin, log):
  """Variables of a model, from weights that must all fit.

  Args:
    config: all fields of the model.
    weights: arrays in PyTorch's layout by plain name, changed in place: a
      classifier with another number of classes is dropped, and an RGB stem is
      adapted to another modality.
    num_classes: of the classifier in `weights`, or None.
    origin: names of the weights in messages, by plain name.
    log: called with a sentence about everything dropped, adapted or new.

  Returns:
    'params' and 'batch_stats' as NumPy arrays.

  Raises:
    InputError: if weights are missing, unknown or of another shape; it lists
      the first of them.
  """
  _fit_head(weights, num_classes, config['num_classes'], log)
  _fit_stem(weights, config, log)
  return _fill(config, weights, origin, log)


def from_ours(
  old_config, variables, config, *, keep_head=True, log=logging.warning
):
  """Variables of one model of ours for another one, by the rules of `fit`.

  Args:
    old_config: all fields of the model with these variables.
    variables: 'params' and 'batch_stats'.
    config: all fields of the new model.
    keep_head: whether a classifier with the same number of classes is kept.
    log: called with a sentence about everything dropped, adapted or new.

  Returns:
    'params' and 'batch_stats' as NumPy arrays.

  Raises:
    InputError: as `fit`, and if `variables` belong to another network.
  """
  checks.check_network('The checkpoint', old_config, config)
  weights = {}
  for path, leaf in traverse_util.flatten_dict(variables).items():
    plain = naming.plain_leaf_name(path[1:], old_config['name'])
    if keep_head or not infer.is_head(plain):
      weights[plain] = to_torch_layout(np.asarray(leaf), plain)
  checks.log_differences(old_config, config, log)
  classes = old_config['num_classes'] if keep_head else None
  origin = {name: name for name in weights}
  checks.check_finite('The checkpoint', weights, origin)
  return fit(config, weights, classes, origin, log)


def scale_attention(weights, log):
  """Puts the scale of attention into the weights of its queries, in place.

  A softmax of `q k^T / sqrt(C)` is one of `(q / sqrt(C)) k^T`.
  """
  for name in [name for name in weights if '.nl.theta.' in name]:
    weights[name] = weights[name] / np.sqrt(np.float32(len(weights[name])))
  log(
    'The attention of the weights is scaled (use_scale=True): theta holds the '
    'scale from now on, which gives the same.'
  )


def with_plain_names(arrays, names):
  """Renames the arrays of a file to plain names.

  Args:
    arrays: by their name in the file.
    names: mapping from these names to official ones, see `naming.official`.

  Raises:
    InputError: if two arrays have the same plain name.
  """
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
  """Drops a classifier with another number of classes, in place."""
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
  """Adapts an RGB stem to another modality, in place.

  Every new channel is the mean over the RGB channels, as in the authors' code
  for optical flow.
  """
  first = 'stem_conv1' if config['stem'] == 'deep' else 'conv1'
  name = naming.plain_leaf_name((first, 'kernel'), config['name'])
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
  shapes = traverse_util.flatten_dict(models.shapes(model, size))
  names = {p: naming.plain_leaf_name(p[1:], config['name']) for p in shapes}
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
  return traverse_util.unflatten_dict(dict(sorted(leaves.items())))


def _may_be_new(name, weights):
  """Whether a missing weight is initialised: of a head, or of all NL blocks."""
  if '.nl.' in name:
    return not any('.nl.' in k for k in weights)
  return name.startswith('head.') and not any(
    k.startswith('head.') for k in weights
  )


def _new_leaves(paths, shapes):
  """Initial values of a head and of non-local blocks, as in a new model."""
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
    for (collection, *rest), leaf in traverse_util.flatten_dict(
      variables
    ).items():
      leaves[collection, module, *rest] = np.asarray(leaf)
  return leaves


def _describe(config):
  fields = {'resnet': ('depth', 'shift', 'non_local', 'num_classes')}.get(
    config['name'], ('shift', 'num_classes')
  )
  return f'{config["name"]} ' + ', '.join(f'{k}={config[k]}' for k in fields)


def _join(items):
  return state_dicts.listed(items) or 'none'


def _to_flax_layout(value):
  """OIHW to HWIO, (out, in) and 1x1x1 kernels to (in, out)."""
  if value.shape[2:] == (1, 1, 1):
    value = value[:, :, 0, 0, 0]
  axes = (2, 3, 1, 0) if value.ndim == 4 else None
  return np.ascontiguousarray(value.transpose(axes))


def to_torch_layout(value, name):
  """The inverse of `_to_flax_layout`; `name` is the plain one."""
  axes = (3, 2, 0, 1) if value.ndim == 4 else None
  value = value.transpose(axes)
  if '.nl.' in name and value.ndim == 2:
    value = value[:, :, None, None, None]
  return np.ascontiguousarray(value)


def _torch_shape(shape, name):
  return to_torch_layout(np.broadcast_to(np.float32(0), shape), name).shape
