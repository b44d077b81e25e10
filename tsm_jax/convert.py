"""Weights between PyTorch's files and our variables, number for number.

Read are the checkpoints of the authors, of OpenMMLab's TSM, and torchvision's
ImageNet files as an initialisation; written is the authors' form. Nothing here
executes a pickle.
"""

import functools
import os

from absl import logging
import jax
import jax.numpy as jnp
import numpy as np

from tsm_jax import convert_files, convert_infer, convert_names, errors, models
from tsm_jax.models import layers, non_local


def from_torch(source, **overrides):
  """Reads a checkpoint of PyTorch.

  What weights cannot tell comes from the official file name where that says it
  (`fold_div`, `num_frames`), else it is the released models' value (8, 8), and
  `overrides` have the last word. They may also change the model: another
  `shift` (TSN to TSM), a new head of `num_classes`, non-local blocks to be
  trained, or `modality='flow'` over the weights of an RGB model.

  Args:
    source: path of a `.pth`, `.pth.tar`, `.pt` or `.safetensors` file, or a
      mapping from name to float32 array.
    **overrides: fields of the model configuration.

  Returns:
    `(model_config, variables)`: a dict for `models.create_model`, and its
    variables 'params' and 'batch_stats' as NumPy arrays.

  Raises:
    InputError: if the file cannot be read without executing code, if the
      weights are of no model that is known here, or do not fit; all that do not
      fit are named.
  """
  if unknown := sorted(set(overrides) - set(models.DEFAULTS)):
    raise errors.InputError(
      f'The fields {unknown} are not of a model; choose from '
      f'{sorted(models.DEFAULTS)}.'
    )
  file_name = ''
  if isinstance(source, str | os.PathLike):
    file_name = os.path.basename(source)
    source = convert_files.read(source)
  arrays = convert_files.float32_arrays(source)
  names = convert_names.official(arrays)
  kind = convert_infer.kind_of(arrays, names)
  if kind == 'imagenet':  # its classes are not of videos
    arrays = {
      k: v for k, v in arrays.items() if not convert_infer.is_head(names[k])
    }
  weights = _unwrap(arrays, names)
  shapes = {names[k]: v.shape for k, v in arrays.items()}
  in_file = {**models.DEFAULTS, **convert_infer.from_shapes(shapes, kind)}
  in_file.update(convert_infer.from_file_name(file_name, in_file['name']))
  config = {**in_file, **overrides}
  logging.info('Model of the weights: %s', config)
  if config['shift'] is None:
    raise errors.InputError(
      "The names of BNInception's weights do not tell where it is shifted; "
      "give shift, 'block', 'none' or a mask."
    )
  _fit_head(weights, in_file['num_classes'], config['num_classes'])
  _fit_stem(weights, config)
  origin = {convert_names.plain(v): k for k, v in names.items()}
  return config, _fill(config, weights, origin)


def to_torch(model_config, variables):
  """Writes variables in the authors' form.

  Names begin with `module.base_model.` as the authors' trainer saves them. With
  `direction='past'`, MobileNetV2 is written as that of the online demo, without
  a prefix and with the head `classifier`. PyTorch's count of batches, which
  enters no computation, is 0.

  Args:
    model_config: as of `from_torch`.
    variables: 'params' and 'batch_stats'.

  Returns:
    A dict from name to array, float32 but for `num_batches_tracked` (int64).
  """
  state = {}
  for path, leaf in _flat(variables).items():
    plain = convert_names.of_leaf(path[1:], model_config['name'])
    name = convert_infer.official_name(plain, model_config)
    state[name] = _to_torch_layout(np.asarray(leaf), plain)
    if name.endswith('.running_var'):
      count = name.replace('running_var', 'num_batches_tracked')
      state[count] = np.zeros((), np.int64)
  return state


def _unwrap(arrays, names):
  """Arrays by plain name."""
  weights = {}
  for name, value in arrays.items():
    plain = convert_names.plain(names[name])
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


def _fit_head(weights, in_file, num_classes):
  """Drops a classifier of another number of classes, in place."""
  if not num_classes:
    raise errors.InputError(
      'The weights have no classifier of videos; give num_classes for a new '
      'one.'
    )
  if in_file not in (None, num_classes):
    logging.warning(
      'The classifier of %d classes is dropped for a new one of %d.',
      in_file,
      num_classes,
    )
    for leaf in ('weight', 'bias'):
      weights.pop(f'head.{leaf}', None)


def _fit_stem(weights, config):
  """Makes the stem of another modality from an RGB one, in place.

  Every new channel has the mean over the RGB channels, as the authors have it
  for optical flow.
  """
  name = convert_names.of_leaf(('conv1', 'kernel'), config['name'])
  channels = layers.CHANNELS.get(config['modality'], 3)
  if name in weights and weights[name].shape[1] == 3 != channels:
    mean = weights[name].mean(axis=1, keepdims=True)
    weights[name] = np.repeat(mean, channels, axis=1)


def _fill(config, weights, origin):
  """Variables of the configured model from the weights, all or none."""
  model = models.create_model(config)
  size = (1, config['num_frames'], 32, 32, layers.CHANNELS[config['modality']])
  shapes = _flat(jax.eval_shape(model.init, jax.random.key(0), jnp.zeros(size)))
  names = {p: convert_names.of_leaf(p[1:], config['name']) for p in shapes}
  fresh = [p for p, k in names.items() if _may_be_new(k, weights)]
  if fresh:
    logging.info('New weights: %s', ', '.join(names[p] for p in fresh))
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
      layer, x = layers.head(kernel[1]), jnp.zeros((1, kernel[0]))
    else:
      norm = functools.partial(layers.BatchNorm, train=False)
      channels = shapes['params', module, 'out_bn', 'scale'].shape
      layer, x = non_local.NonLocal(norm), jnp.zeros((1, 1, 2, 2, *channels))
    variables = layer.init(jax.random.key(i), x)
    for (collection, *rest), leaf in _flat(variables).items():
      leaves[collection, module, *rest] = np.asarray(leaf)
  return leaves


def _describe(config):
  fields = {'resnet': ('depth', 'shift', 'non_local', 'num_classes')}.get(
    config['name'], ('shift', 'num_classes')
  )
  return f'{config["name"]} ' + ', '.join(f'{k}={config[k]}' for k in fields)


def _join(items):
  return ', '.join(sorted(items)) or 'none'


def _flat(variables):
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


def _to_torch_layout(value, name):
  axes = (3, 2, 0, 1) if value.ndim == 4 else None
  value = value.transpose(axes)
  if '.nl.' in name and value.ndim == 2:
    value = value[:, :, None, None, None]
  return np.ascontiguousarray(value)


def _torch_shape(shape, name):
  return _to_torch_layout(np.broadcast_to(np.float32(0), shape), name).shape
