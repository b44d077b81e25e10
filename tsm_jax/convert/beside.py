"""What a file of weights does not hold, as JSON beside it."""

import dataclasses
import json
from typing import Any, NamedTuple

from tsm_jax import errors, files, models
from tsm_jax.convert import weight_files
from tsm_jax.data.input import preprocess
from tsm_jax.runs import json_item

SUFFIX = '.json'  # after the name of the file, as in `weights.pth.json`
# Of the section `data`, what turns a video into the network's input.
DATA = tuple(
  field.name
  for field in dataclasses.fields(preprocess.Preprocessing)
  if field.name not in ('num_frames', 'modality')  # fields of the model
)
# Further ones, which say what the classes mean; written where they are set.
MEANING = ('background', 'multi_label')


class Beside(NamedTuple):
  """What the JSON of a file of weights says.

  Attributes:
    model: fields of the section `model`.
    data: fields of the section `data`, of `DATA` and `MEANING`.
    labels: class names by index, or None.
  """

  model: dict[str, Any]
  data: dict[str, Any]
  labels: list[str] | None


def check_new(out):
  """Raises InputError if the JSON of a new file of weights exists already."""
  if files.path(f'{out}{SUFFIX}').exists():
    raise errors.InputError(
      f"'{out}{SUFFIX}' exists already; choose another place."
    )


def write(out, trained):
  """Writes the JSON of a file of weights.

  Args:
    out: the file, which is there.
    trained: the `checkpoints.TrainedModel` of the weights.

  Returns:
    A sentence about what it says.
  """
  model, data = trained.config.to_dict(), vars(trained.preprocessing)
  whole = trained.meta['config']['data']
  content = {
    'sha256': weight_files.sha256(files.path(out)),
    'step': trained.step,
    'labels': trained.labels,
    'config': {
      'name': trained.meta['config']['name'],
      'model': {k: model[k] for k in models.DEFAULTS},
      'data': {
        **{k: data[k] for k in DATA},
        **{k: whole[k] for k in MEANING if whole.get(k)},
      },
    },
  }
  files.write(f'{out}{SUFFIX}', json.dumps(content, indent=1, allow_nan=False))
  shown = {'num_frames': model['num_frames'], 'fold_div': model['fold_div']}
  shown |= {k: data[k] for k in ('image_size', 'short_side', 'sampling')}
  shown |= {'mean': list(data['mean']), 'std': list(data['std'])}
  listed = ', '.join(f'{k}={v!r}' for k, v in shown.items())
  return (
    f"A file of weights does not hold all: '{out}{SUFFIX}' beside it has its "
    f'classes and {listed}, with all other fields of the model and of its '
    'input. tsm_jax.convert and init_from read it, if it stays beside the file.'
  )


def read(path, log):
  """What the JSON beside a file of weights says; nothing, if there is none.

  One that does not name these weights by their hash is of something else.

  Args:
    path: of the file of weights.
    log: called with a sentence about what is read, or is not.

  Raises:
    InputError: if it is no JSON, or damaged; it names the field.
  """
  place = f'{path}{SUFFIX}'
  if not files.path(place).exists():
    return Beside({}, {}, None)
  content = files.read_json(place)
  if content.get('sha256') != weight_files.sha256(files.path(path)):
    log(
      f'{errors.printable(place)} is not read: it was written for something '
      'else, as it has no sha256 of these weights.'
    )
    return Beside({}, {}, None)
  try:
    json_item.check(content)
  except errors.InputError as error:
    raise errors.InputError(f'{place}: {error}') from error
  log(f'{errors.printable(place)} tells what the weights do not.')
  config = content['config']
  model = {
    name: tuple(value) if isinstance(value, list) else value
    for name, value in config['model'].items()
    if name in models.DEFAULTS and name != 'num_classes'
  }
  data = {k: v for k, v in config['data'].items() if k in (*DATA, *MEANING)}
  return Beside(model, data, content['labels'])
