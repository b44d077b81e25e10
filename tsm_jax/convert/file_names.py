"""What the official name of a file says of the model in it."""

import re

from tsm_jax import errors
from tsm_jax.convert import checks

_PARTS = re.compile(
  r'_shift\d+_|_segment\d+_|[-_]\d+x1x\d+[-_]|^tsm[-_].*(r\d+|nl|mobilenet)'
)


def from_file_name(file_name, model_name):
  """The fields that only an official file name states."""
  checks.refuse_pooled(file_name, errors.printable(file_name))
  if re.search(r'(?i)dot[-_]?product', file_name):
    raise errors.InputError(
      f'{errors.printable(file_name)} has dot-product attention; the non-local '
      'blocks here have the embedded Gaussian only.'
    )
  config = {}
  if match := re.search(r'_shift(\d+)_', file_name):
    config['fold_div'] = int(match[1])
  place = re.search(r'_BNInception_(shift\d+_([^_]+))?', file_name)
  if model_name == 'bn_inception' and place:
    if not place[1]:
      config['shift'] = 'none'
    elif place[2] == 'block' or re.fullmatch('[01]{12}', place[2]):
      config['shift'] = place[2]
    # With any other place the authors' network does not run.
  if match := re.search(r'_segment(\d+)_|[-_]\d+x1x(\d+)[-_]', file_name):
    config['num_frames'] = int(match[1] or match[2])
  if '_tpool' in file_name:
    config['temporal_pool'] = True
  return config


def tells(file_name):
  """Whether a name has any of the parts that official names have."""
  return bool(_PARTS.search(file_name))


def sampling_from_name(file_name):
  """'dense' or 'uniform': how frames were chosen, as the name states it."""
  dense = re.search(r'[-_.]dense([-_.]|$)', file_name)
  return 'dense' if dense else 'uniform'
