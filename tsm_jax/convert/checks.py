"""Why weights cannot be those of a model, in one sentence."""

import re

import numpy as np

from tsm_jax import errors
from tsm_jax.convert.reading import state_dicts
from tsm_jax.models import resnet

# Names of other networks that people have, and what they are.
_OTHERS = (
  (
    r'conv_stem\.',
    "timm's names (conv_stem, blocks) for a MobileNet or EfficientNet; of "
    "timm's networks, only ResNets and MobileNetV2 (mobilenetv2_100) are read",
  ),
  (r'(patch_embed|.*\.?attn|.*self_attn|encoder\.layers?)\.', 'a transformer'),
)

_POOLS = {'aa': 'a mean', 'blur': 'a blur'}


def refuse_others(shapes, networks):
  """Raises InputError if the names or shapes are of a well-known other one."""
  networks = ', '.join(networks)
  for pattern, kind in _OTHERS:
    if any(re.match(pattern, name) for name in shapes):
      raise errors.InputError(
        f'The weights are of no network that is known here ({networks}): they '
        f'have {kind}.'
        if 'names' in kind
        else f'The weights are of {kind}; only {networks} are known here.'
      )
  cubes = [
    name for name, shape in shapes.items() if len(shape) == 5 and shape[2] > 1
  ]
  if cubes:
    raise errors.InputError(
      f'The weights are of a network with 3D convolutions ({cubes[0]} '
      f'{shapes[cubes[0]]}); only {networks} are known here.'
    )
  if any(k.startswith('features.') for k in shapes) and not any(
    k.startswith('features.2.conv.') for k in shapes
  ):
    raise errors.InputError(
      f'The weights have the parts features.*, but not the blocks of a '
      f'MobileNetV2 (features.2.conv.*); only {networks} are known here.'
    )


def refuse_pooled(name, where):
  """Raises InputError for a ResNet whose name tells what its weights do not.

  timm has ResNets that pool behind a convolution of stride 1 where those here
  have stride 2; names and shapes of their weights are the same.

  Args:
    name: of the network or its file.
    where: the weights are, for the message.
  """
  if match := re.search(r'resnex?t(aa|blur)\d+\w*', name):
    raise errors.InputError(
      f'{where} holds, by its name, the weights of a {match[0]}, which has '
      f'{_POOLS[match[1]]} instead of a stride; the networks here have the '
      'stride.'
    )


def check_network(where, found, wanted):
  """Raises InputError if weights belong to another network than wanted.

  Args:
    where: the weights are, for the message.
    found: all fields of their model, as far as they show them.
    wanted: all fields of the model that gets them.
  """
  if found['name'] != wanted['name']:
    raise errors.InputError(
      f'{where} holds the weights of a {found["name"]}, but model.name is '
      f'{wanted["name"]!r}.'
    )
  fields = {
    'resnet': ('width', 'groups', 'width_per_group', 'stem', 'downsample'),
    'mobilenet_v2': ('width_multiplier',),
  }
  if found['name'] == 'resnet':
    form, other = (_blocks(config) for config in (found, wanted))
    if form != other and form in resnet.DEPTHS.values():
      raise errors.InputError(
        f'{where} holds the weights of a ResNet-{found["depth"]}, with '
        f'{_describe_blocks(form)}, but model.depth is {wanted["depth"]}, with '
        f'{_describe_blocks(other)}.'
      )
  for field in fields.get(found['name'], ()):
    if found[field] != wanted[field]:
      raise errors.InputError(
        f'{where} holds the weights of a {found["name"]} with '
        f'{field}={found[field]}, but model.{field} is {wanted[field]}.'
      )


def _blocks(config):
  """`(bottleneck, blocks per stage)` of a ResNet."""
  bottleneck, sizes = resnet.DEPTHS[config['depth']]
  return bottleneck, tuple(config['stage_sizes']) or sizes


def _describe_blocks(form):
  kind = 'bottleneck' if form[0] else 'basic'
  return f'{form[1]} {kind} blocks per stage'


def check_finite(where, weights, origin):
  """Raises InputError if a weight is NaN or infinite; it names it.

  Args:
    where: the weights are, for the message.
    weights: arrays by name.
    origin: names for the message, by name.
  """
  wrong = [origin[k] for k, v in weights.items() if not np.isfinite(v).all()]
  if wrong:
    raise errors.InputError(
      f'{where} holds weights that are not finite (NaN or infinity), so that '
      f'its model computes nothing: {state_dicts.listed(wrong)}.'
    )


def log_differences(source, config, log):
  """Logs where a model is shifted differently from the source of its weights.

  Args:
    source: the known fields of the model that the weights come from.
    config: all fields of the model that gets them.
    log: called with a sentence for each difference.
  """
  fields = ('shift', 'direction', 'fold_div')
  if 'none' in (source.get('shift'), config['shift']):
    fields = ('shift',)  # without a shift, the others mean nothing
  for field in fields:
    if source.get(field) not in (None, config[field]):
      log(
        f'The weights look like those of a model with '
        f'{field}={source[field]!r}, but {field}={config[field]!r} is used.'
      )
