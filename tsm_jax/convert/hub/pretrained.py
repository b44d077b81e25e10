"""What timm says of the images that weights were trained with."""

import numpy as np

from tsm_jax.convert import checks


def compare(fetched, modality, data, log):
  """Logs where a run shows its network other images than the weights saw.

  Args:
    fetched: a `fetch.Fetched`, whose config may have timm's `pretrained_cfg`.
    modality: of the model; other images than RGB are not compared.
    data: fields of the section `data`, or None.
    log: called with a sentence.
  """
  stated = fetched.config.get('pretrained_cfg')
  if data is None or modality != 'rgb' or not isinstance(stated, dict):
    return
  other = {}
  for field in ('mean', 'std'):
    theirs = stated.get(field)
    if not _are_numbers(theirs):
      continue
    ours = np.broadcast_to(np.asarray(data[field], np.float64), 3)
    if data['divisor'] != 255 or np.abs(ours - theirs).max() > 2e-3:
      other[field] = theirs
  if data['channel_order'] != 'rgb':
    other['channel_order'] = 'rgb'
  if other:
    now = ', '.join(f'data.{k} is {data[k]!r}' for k in other)
    flags = ' '.join(f'--config.data.{k}={_flag(v)}' for k, v in other.items())
    log(
      f'{fetched.origin["hub"]} was trained on other images: {now}, and theirs '
      f'are {flags}.'
    )


def refuse_pooled(fetched):
  """As `checks.refuse_pooled`, of the `architecture` that timm states."""
  name = fetched.config.get('architecture')
  if isinstance(name, str):
    checks.refuse_pooled(name, fetched.origin['hub'])


def _are_numbers(values):
  return (
    isinstance(values, list)
    and len(values) == 3
    and all(type(value) in (int, float) for value in values)
  )


def _flag(value):
  if isinstance(value, list):
    return f"'({', '.join(map(str, value))})'"
  return value
