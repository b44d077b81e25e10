"""Our variables as a file of weights in the authors' form."""

import re
import shlex

from absl import logging
from flax import traverse_util
import jax
import numpy as np

from tsm_jax import errors, models
from tsm_jax.convert import (
  beside,
  checks,
  file_names,
  fit,
  naming,
  weight_files,
)
from tsm_jax.data.sources import listings
from tsm_jax.models import mobilenet_v2, resnet
from tsm_jax.runs import checkpoints, folders, request


def to_torch(model_config, variables, *, log=logging.warning):
  """Renames variables to the authors' form.

  Names begin with `module.base_model.`, as the authors' trainer saves them. A
  shifted MobileNetV2 with `direction='past'` has the names of the online demo,
  without a prefix and with the head `classifier`. A ResNet or BNInception with
  `direction='past'` has no official form: it looks like one of both directions,
  and `direction='past'` must be given to `from_torch`. PyTorch's count of
  batches, which no computation uses, is 0.

  Args:
    model_config: all fields of the model, as `convert.from_torch` returns them.
    variables: 'params' and 'batch_stats'.
    log: called with a sentence if there is no official form.

  Returns:
    A dict from name to array: int64 for `num_batches_tracked`, float32 for all
    others.

  >>> import numpy as np
  >>> from tsm_jax import convert, models
  >>> head = {'kernel': np.zeros((2048, 5), np.float32)}
  >>> variables = {'params': {'head': head}}
  >>> state = convert.to_torch(models.DEFAULTS, variables)
  >>> {name: value.shape for name, value in state.items()}
  {'module.new_fc.weight': (5, 2048)}
  """
  one_way = model_config['direction'] == 'past'
  shifted = model_config['shift'] != 'none'
  if one_way and shifted and not is_online(model_config):
    log(
      f"A {model_config['name']} with direction='past' has no official form: "
      f'the file looks like one of both directions, and whoever reads it must '
      f"give direction='past'."
    )
  state = {}
  for path, leaf in traverse_util.flatten_dict(variables).items():
    plain = naming.plain_leaf_name(path[1:], model_config['name'])
    name = official_name(plain, model_config)
    state[name] = fit.to_torch_layout(np.asarray(leaf), plain)
    if name.endswith('.running_var'):
      count = name.replace('running_var', 'num_batches_tracked')
      state[count] = np.zeros((), np.int64)
  return state


def is_checkpoint(source):
  """Whether a path holds a checkpoint of ours, see `folders.find`."""
  try:
    folders.find(source)
  except errors.InputError:
    return False
  return True


def to_file(source, out):
  """Writes a checkpoint of ours as a file of weights in the authors' form.

  Args:
    source: a path for `checkpoints.restore_model`.
    out: the new file, with one of `weight_files.SUFFIXES`.

  Returns:
    Lines for the user.

  Raises:
    InputError: if there is no checkpoint, or if `out` exists or has another
      suffix.
  """
  weight_files.check_new(out)
  beside.check_new(out)
  lines = []
  trained = checkpoints.restore_model(source)
  config = {**trained.config.to_dict(), 'num_classes': len(trained.labels)}
  config = {k: config[k] for k in models.DEFAULTS}
  config['stage_sizes'] = tuple(config['stage_sizes'])  # JSON has lists
  state = to_torch(config, jax.device_get(trained.variables), log=lines.append)
  checks.check_finite(str(source), state, {k: k for k in state})
  weight_files.write(out, state, trained.labels, bare=is_online(config))
  lines.append(beside.write(out, trained))
  if config['consensus'] == 'frames':
    lines.append(
      'The logits of a clip are the mean over its frames from '
      f"{config['consensus_from']} on; the authors' code takes all frames."
    )
  if request.multi_label(trained):
    lines.append(
      'The model was trained for clips of several labels: each class has a '
      'sigmoid of its own, where others take a softmax of all.'
    )
  if hidden := _hidden_fields(config, out):
    lines.append(
      'Without that, neither the weights nor the name of the file show all '
      'fields of the model: to read it with tsm_jax.convert, give '
      f'{shlex.join(hidden)}.'
    )
  classes = listings.shown(trained.labels)
  return [
    *lines,
    f'Classes, in the order of the classifier: {classes}.',
    f'{errors.printable(out)}: step {trained.step} of '
    f'{trained.meta["config"]["name"]}, {len(state)} weights of a '
    f'{config["name"]}.',
  ]


def _hidden_fields(config, out):
  """The arguments that `convert` needs to read `out` as the same model."""
  name = weight_files.official_name(out)
  by_name = file_names.from_file_name(name, config['name'])
  fields = ['fold_div', 'num_frames']
  if config['shift'] == 'none':  # without it, there is no fold
    fields.remove('fold_div')
  if config['name'] == 'bn_inception':
    fields.append('shift')
    by_name.setdefault('shift', None)
  published = [sizes for _, sizes in resnet.DEPTHS.values()]
  if config['stage_sizes'] and tuple(config['stage_sizes']) not in published:
    fields.append('stage_sizes')
  if config['direction'] == 'past' and not is_online(config):
    fields.append('direction')
  fields += ['consensus', 'consensus_from']
  read_as = {**models.DEFAULTS, **by_name}
  return [f'--{k}={config[k]}' for k in fields if config[k] != read_as[k]]


def is_online(config):
  """Whether the authors' form of a model is the bare one of their demo.

  Theirs is the only network with `direction='past'`.
  """
  return (
    config['name'] == 'mobilenet_v2'
    and config['direction'] == 'past'
    and config['shift'] != 'none'
  )


def official_name(name, config):
  """The authors' name of a weight, with prefix and wrappers.

  Args:
    name: the plain name.
    config: all fields of the model.
  """
  online = is_online(config)
  if name.startswith('head.'):
    return _head_name(name.removeprefix('head.'), config, online)
  prefix = '' if online else 'module.base_model.'
  if match := re.match(r'features\.(\d+)\.conv\.0\.(.*)', name):
    shifted = (
      config['shift'] != 'none'
      and not online
      and mobilenet_v2.is_shifted(int(match[1]))
    )
    net = 'net.' if shifted and match[2] == 'weight' else ''
    return f'{prefix}features.{match[1]}.conv.0.{net}{match[2]}'
  match = re.match(r'layer(\d)\.(\d+)\.(.*)', name)
  if not match:
    return prefix + name
  stage, index, rest = int(match[1]) - 1, int(match[2]), match[3]
  if not rest.startswith('nl.'):
    if config['shift'] == 'block':
      rest = f'net.{rest}'
    elif rest == 'conv1.weight' and _is_shifted(config, index):
      rest = 'conv1.net.weight'
    if config['non_local'] and resnet.has_non_local(stage, index):
      rest = f'block.{rest}'
  pool = '.net' if config['temporal_pool'] and stage == 1 else ''
  return f'{prefix}layer{stage + 1}{pool}.{index}.{rest}'


def _head_name(leaf, config, online):
  if online:
    return f'classifier.{leaf}'
  if config['dropout']:
    return f'module.new_fc.{leaf}'
  name = 'classifier' if config['name'] == 'mobilenet_v2' else 'fc'
  return f'module.base_model.{name}.{leaf}'


def _is_shifted(config, index):
  sizes = tuple(config['stage_sizes']) or resnet.DEPTHS[config['depth']][1]
  return resnet.is_shifted(config['shift'], config['shift_every'], sizes, index)
