"""What tells of an exported model: `card.json`, and the hash of every file."""

import dataclasses
import json
from typing import Any

import jax

import tsm_jax
from tsm_jax import errors, files
from tsm_jax.data import intervals
from tsm_jax.data.input import cropping
from tsm_jax.export import graph as graphs
from tsm_jax.export.runner import engine
from tsm_jax.models import cost
from tsm_jax.runs import folders, hashes
from tsm_jax.stream.events import rules

VERSION = 1
FILE = 'card.json'
LABELS = 'labels.txt'
MODELS = {name: file for name, (file, *_) in engine.FORMATS.items()}
PRECISIONS = {
  'litert': ('float32', 'float16', 'int8'),
  'onnx': ('float32', 'float16', 'int8'),
  'stablehlo': ('float32', 'float16'),
}
_DTYPES = ('uint8', 'bool', 'float32')
_CHOICES = {
  'format': tuple(MODELS),
  'what': graphs.KINDS,
  'precision': PRECISIONS['onnx'],
}
_NONE = type(None)
_TYPES = {
  **dict.fromkeys(_CHOICES, str),
  **dict.fromkeys(('stored_size', 'multiply_adds', 'version'), int),
  **dict.fromkeys(('labels', 'inputs', 'outputs', 'caches'), list),
  **dict.fromkeys(('rule', 'preprocessing', 'source'), dict),
  **dict.fromkeys(('versions', 'files'), dict),
  'batch': (int, _NONE),
  'frame_interval': (dict, _NONE),
}


@dataclasses.dataclass(frozen=True)
class Card:
  """All that a program has to know to run an exported model.

  Attributes:
    format: a key of `MODELS`.
    what: 'clip' or 'step', see `graph.create`.
    precision: 'float32', 'float16' or 'int8'.
    batch: clips or streams at once; None is any number.
    labels: class names by index.
    frame_interval: seconds between the frames of a clip, a dict of an
      `intervals.Interval`; None where that is not known.
    stored_size: S, both sides of a frame that comes in, see
      `cropping.eval_square`.
    preprocessing: the fields of a `preprocess.Preprocessing`. The crop to its
      image_size and the normalisation are in the graph.
    inputs: a `graph.Tensor` each, in the order of the model.
    outputs: the same; the first are the probabilities.
    caches: `(input, output)` names: what goes on to the next step.
    rule: when an event begins and ends, see `rules.as_dict`.
    multiply_adds: of one clip, or of one step of one stream.
    source: a dict of checkpoint (as it was given), name, step and sha256 (of
      its SHA256SUMS).
    versions: of what made it, by the name of the package.
    files: a dict from the name of every other file to its bytes and sha256.
    version: of the card itself.
  """

  format: str
  what: str
  precision: str
  batch: int | None
  labels: list[str]
  frame_interval: dict[str, float] | None
  stored_size: int
  preprocessing: dict[str, Any]
  inputs: tuple[graphs.Tensor, ...]
  outputs: tuple[graphs.Tensor, ...]
  caches: tuple[tuple[str, str], ...]
  rule: dict[str, Any]
  multiply_adds: int
  source: dict[str, Any]
  versions: dict[str, str]
  files: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
  version: int = VERSION

  @property
  def model(self):
    """The name of the model's file."""
    return MODELS[self.format]


def describe(trained, graph, rule, source, **fields):
  """The `Card` of a graph, before its files are there.

  Args:
    trained: the `checkpoints.TrainedModel`.
    graph: the `graph.Graph` made of it.
    rule: a `rules.Rule`.
    source: a dict, from `origin`.
    **fields: format, precision, batch and versions of further packages.
  """
  how, every = trained.preprocessing, intervals.from_meta(trained.meta)
  versions = {'tsm_jax': tsm_jax.__version__, 'jax': jax.__version__}
  versions |= fields.pop('versions', {})
  layers, attention = cost.multiply_adds(graph.function, *graph.shapes(1))
  batch = fields['batch'] or 1
  return Card(
    what=graph.what,
    labels=list(trained.labels),
    frame_interval=every and every.as_dict(),
    stored_size=cropping.full_size(how.image_size),
    preprocessing={**vars(how), 'mean': list(how.mean), 'std': list(how.std)},
    inputs=graph.inputs,
    outputs=graph.outputs,
    caches=graph.caches,
    rule=rules.as_dict(rule),
    multiply_adds=(layers + attention) // batch,
    source=source,
    versions=versions,
    **fields,
  )


def origin(checkpoint, trained):
  """Where a model comes from, as a dict: the field source of a `Card`.

  Args:
    checkpoint: its path, as in `checkpoints.restore_model`.
    trained: the `checkpoints.TrainedModel` there.
  """
  folder, _ = folders.find(checkpoint)
  return {
    'checkpoint': str(checkpoint),
    'name': trained.meta['config'].get('name', ''),
    'step': trained.step,
    'sha256': hashes.identity(folder / str(trained.step)),
  }


def write(folder, card):
  """Writes a card with the hashes of all files that are there now.

  Args:
    folder: of the export, with the model in it.
    card: a `Card`; its `files` are those of the folder, whatever they were.
  """
  folder = files.path(folder)
  names = sorted(set(files.walk(folder)) - {FILE})
  hashed = {
    name: {
      'bytes': (folder / name).stat().length,
      'sha256': hashes.sha256(folder / name),
    }
    for name in names
  }
  content = dataclasses.asdict(dataclasses.replace(card, files=hashed))
  for field in ('inputs', 'outputs'):
    content[field] = [tensor._asdict() for tensor in getattr(card, field)]
  text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
  files.write(folder / FILE, text + '\n')


def write_labels(folder, labels):
  """Writes the labels, one a line, as Android's libraries read them."""
  files.write(files.path(folder) / LABELS, ''.join(f'{x}\n' for x in labels))


def read(folder):
  """The card of an export whose files are as they were written.

  Args:
    folder: a path.

  Returns:
    A `Card`.

  Raises:
    InputError: if the folder is no export, is of a later version, or a file is
      missing or is another one.
  """
  folder = files.path(folder)
  if not (folder / FILE).exists():
    raise errors.InputError(
      f'{folder} is no export: it has no {FILE}; give a folder that python -m '
      'tsm_jax.export wrote.'
    )
  card = _parse(folder / FILE, files.read_json(folder / FILE))
  for name, kept in card.files.items():
    if found := hashes.difference(folder / name, kept['sha256']):
      raise errors.InputError(
        f'{folder / name} {found}; copy the whole folder again, or export the '
        'model again.'
      )
  return card


def _parse(path, content):
  """A `Card` of JSON, whose fields have the types that they should have."""
  version = content.get('version')
  if isinstance(version, int) and version > VERSION:
    raise errors.InputError(
      f'{path} has the version {version}; this tsm_jax reads versions up to '
      f'{VERSION}: install a later one.'
    )
  names = [field.name for field in dataclasses.fields(Card)]
  values = {name: content.get(name) for name in names}
  for name, value in values.items():
    choices = _CHOICES.get(name, [value])
    if not isinstance(value, _TYPES[name]) or value not in choices:
      raise errors.InputError(
        f'{path}: {name} is {value!r:.80}, which is wrong.'
      )
  for name in ('inputs', 'outputs'):
    values[name] = tuple(_tensor(path, name, x) for x in values[name])
  values['caches'] = tuple(map(tuple, values['caches']))
  for name, kept in values['files'].items():
    inside = not name.startswith('/') and '..' not in name.split('/')
    if not inside or not isinstance(kept, dict) or 'sha256' not in kept:
      raise errors.InputError(
        f'{path}: files has {name!r:.80}, which is wrong.'
      )
  card = Card(**values)
  if card.model not in card.files:
    raise errors.InputError(f'{path}: files has no {card.model}.')
  return card


def _tensor(path, field, content):
  try:
    tensor = graphs.Tensor(**content)
    named = isinstance(tensor.name, str) and tensor.dtype in _DTYPES
    if named and all(n is None or type(n) is int for n in tensor.shape):
      return tensor._replace(shape=tuple(tensor.shape))
  except TypeError:
    pass
  raise errors.InputError(
    f'{path}: {field} has {content!r:.80}, which is wrong.'
  )
