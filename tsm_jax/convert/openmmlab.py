"""What OpenMMLab's trainer writes beside the weights: a configuration."""

from collections.abc import Mapping
import types
from typing import Any, NamedTuple

from tsm_jax import errors, modalities
from tsm_jax.convert import file_names
from tsm_jax.convert.reading import config_text

# Of their networks, what a configuration need not state.
_DEFAULTS = {'num_segments': 8, 'shift_div': 8}
_WITH_DEFAULTS = ('ResNetTSM', 'MobileNetV2TSM')
_NOTHING = types.MappingProxyType({})


class Described(NamedTuple):
  """What is known beside names and shapes.

  Attributes:
    fields: of the section `model`.
    data: of the section `data`: sampling, mean, std, channel_order.
    scaled: whether attention is divided by the root of its channels.
  """

  fields: Mapping[str, Any] = _NOTHING
  data: Mapping[str, Any] = _NOTHING
  scaled: bool = False


def describe(meta, names, file_name, log):
  """What a file of OpenMMLab says of its model.

  Args:
    meta: the entry `meta` of the file.
    names: of its weights.
    file_name: the official name, or ''.
    log: called with a sentence about what is assumed, if nothing tells.

  Returns:
    A `Described`.

  Raises:
    InputError: if the model is one that the weights would be wrong in.
  """
  if not any(name.startswith('backbone.') for name in names):
    return Described()
  config = config_text.parse(meta.get('config') or meta.get('cfg') or '')
  backbone = config_text.get(config, 'model', 'backbone')
  _check_non_local(names)
  has_attention = any('.non_local_block.' in name for name in names)
  if not backbone:
    _assume(names, has_attention, file_name, log)
    return Described()
  _check(backbone, has_attention, _has_bottlenecks(names))
  has_defaults = backbone.get('type') in _WITH_DEFAULTS
  stated = {**(_DEFAULTS if has_defaults else {}), **backbone}
  fields = {
    ours: stated[theirs]
    for ours, theirs, kind in (
      ('num_frames', 'num_segments', int),
      ('fold_div', 'shift_div', int),
      ('temporal_pool', 'temporal_pool', bool),
    )
    if type(stated.get(theirs)) is kind
  }
  attention = config_text.get(backbone, 'non_local_cfg')
  scaled = has_attention and attention.get('use_scale', True)
  return Described(fields, _data(config), bool(scaled))


def class_names(meta):
  """The names of the classes in the entry `meta` of a file, or None."""
  newer = config_text.get(dict(meta), 'dataset_meta')
  found = meta.get('CLASSES') or newer.get('classes')
  is_list = isinstance(found, list | tuple) and found
  if is_list and all(isinstance(name, str) for name in found):
    return list(found)
  return None


def _has_bottlenecks(names):
  return any(name.startswith('backbone.layer1.0.conv3.') for name in names)


def _check(backbone, has_attention, has_bottlenecks):
  """Raises InputError if a network of ours would compute something else."""
  if has_bottlenecks and backbone.get('style', 'pytorch') != 'pytorch':
    raise errors.InputError(
      f"The file's configuration has style={backbone['style']!r}, where the "
      'stride is in the first convolution of a block; the networks here have '
      "it in the second, style='pytorch'."
    )
  for field, usual in (('strides', (1, 2, 2, 2)), ('dilations', (1, 1, 1, 1))):
    found = backbone.get(field, usual)
    if not isinstance(found, list | tuple) or tuple(found) != usual:
      raise errors.InputError(
        f"The file's configuration has {field}={found!r}; the networks here "
        f'have {usual}.'
      )
  attention = config_text.get(backbone, 'non_local_cfg')
  mode = attention.get('mode', 'embedded_gaussian')
  if has_attention and mode != 'embedded_gaussian':
    raise errors.InputError(
      f"The file's configuration has attention of mode={mode!r}; the non-local "
      "blocks here have mode='embedded_gaussian' only."
    )


def _check_non_local(names):
  """Raises InputError if the names show blocks that are not ours."""
  parts = {
    name.partition('.non_local_block.')[2]
    for name in names
    if '.non_local_block.' in name
  }
  if not parts:
    return
  kind = ''
  if not any(part.startswith('theta.') for part in parts):
    kind = "the attention of mode='gaussian', without theta"
  elif any(part.startswith('concat_project.') for part in parts):
    kind = "the attention of mode='concatenation'"
  elif any(part.startswith(('g.conv.', 'phi.conv.')) for part in parts):
    kind = 'sub_sample=False, no pooling of keys and values'
  if kind:
    raise errors.InputError(
      f'The non-local blocks of the weights have {kind}; those here have '
      "mode='embedded_gaussian' and sub_sample=True only."
    )


def _assume(names, has_attention, file_name, log):
  if 'caffe' in file_name and _has_bottlenecks(names):
    raise errors.InputError(
      f"{errors.printable(file_name)} has style='caffe', by its name, where "
      'the stride is in the first convolution of a block; the networks here '
      "have it in the second, style='pytorch'."
    )
  assumed = []
  # Their names tell what is unusual.
  if _has_bottlenecks(names) and not file_names.tells(file_name):
    assumed.append("style='pytorch'")
  if has_attention and 'gaussian' not in file_name:
    assumed.append("attention of mode='embedded_gaussian' and use_scale=False")
  if assumed:
    log(
      'Neither the name of the file nor a configuration in it tells all; '
      f'assumed: {" and ".join(assumed)}.'
    )


def _data(config):
  """The fields of `data` that a configuration states."""
  found = {}
  for name in ('test_pipeline', 'val_pipeline', 'train_pipeline'):
    steps = config.get(name)
    steps = steps if isinstance(steps, list | tuple) else ()
    kinds = [step.get('type') for step in steps if isinstance(step, dict)]
    if 'DenseSampleFrames' in kinds or 'SampleFrames' in kinds:
      dense = 'DenseSampleFrames' in kinds
      found['sampling'] = 'dense' if dense else 'uniform'
      break
  usual = modalities.normalization('resnet', 'rgb')
  norm = config.get('img_norm_cfg') or config_text.get(
    config, 'model', 'data_preprocessor'
  )
  for field in ('mean', 'std'):
    values = norm.get(field) if isinstance(norm, dict) else None
    if not _are_numbers(values):
      continue
    values = [value / 255 for value in values]
    near = zip(values, getattr(usual, field), strict=True)
    if any(abs(a - b) > 2e-3 for a, b in near):
      found[field] = tuple(values)
  if isinstance(norm, dict) and norm.get('to_bgr') is True:
    found['channel_order'] = 'bgr'
  return found


def _are_numbers(values):
  return (
    isinstance(values, list | tuple)
    and len(values) == 3
    and all(type(value) in (int, float) for value in values)
  )
