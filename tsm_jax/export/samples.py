"""Clips of the dataset of a checkpoint, and what JAX says of them."""

from typing import NamedTuple

import jax
import numpy as np

from tsm_jax import errors, evaluate
from tsm_jax.configs import frozen
from tsm_jax.configuration import flags
from tsm_jax.data.clips import codec
from tsm_jax.data.input import cropping, records
from tsm_jax.data.store import asked, dataset
from tsm_jax.export import graph
from tsm_jax.runs import json_item, request
from tsm_jax.stream import cache
from tsm_jax.stream.events import answers

_VIEWS = records.Views()  # the centre of one clip
# Fields of a checkpoint's configuration that say where clips come from.
_FIELDS = ('data.', 'eval.split')


class Samples(NamedTuple):
  """Clips, and what JAX says of them.

  Attributes:
    frames: uint8 `[N, T, F, F, 3]`, as an exported model takes them.
    labels: int `[N]`.
    probabilities: float32 `[N, K]` of clips, or `[N, T, K]`: of streams, after
      each frame.
    first: the frame of a clip from which on answers count, 0-based: their mean
      logits are those of the clip; 0 of whole clips.
  """

  frames: np.ndarray
  labels: np.ndarray
  probabilities: np.ndarray
  first: int = 0


class Clips(NamedTuple):
  """The splits of a dataset that an export needs.

  Attributes:
    dataset: a `dataset.Dataset`.
    split: the name of the one for evaluation.
    note: a sentence if they are other clips than those of the training, or ''.
  """

  dataset: dataset.Dataset
  split: str
  note: str = ''

  def about(self, count):
    """A dict for JSON: of which clips `count` were asked for."""
    return {
      'dataset': self.dataset.name,
      'split': self.split,
      'clips_in_split': len(self.dataset.num_frames[self.split]),
      'clips_asked_for': count,
      **({'note': self.note} if self.note else {}),
    }


def find(checkpoint, trained, fields=(), log=print):
  """The dataset that a checkpoint was trained with; it is built if need be.

  Args:
    checkpoint: its path, for messages.
    trained: the `checkpoints.TrainedModel` there.
    fields: flags such as '--config.data.source=/path/to/videos', which replace
      what the checkpoint says.
    log: called with every line for the user.

  Returns:
    `Clips`.

  Raises:
    InputError: if there is no such dataset, or it has other classes, or no clip
      for evaluation.
  """
  config = _configuration(trained, fields)
  data, split = config.data, config.eval.split
  there = None if fields else asked.find(trained.meta.get('dataset'), data)
  if there:
    found = dataset.open(there, data)
  elif not data.source:
    raise errors.InputError(
      f'{checkpoint} names no dataset, as it was not trained here; name one of '
      'the same classes by --config.data.source=/path/to/videos.'
    )
  else:
    try:
      found = dataset.prepare(data, trained.config.modality, log, (split,))
    except errors.InputError as error:
      raise errors.InputError(
        f'{error} This is the dataset of {checkpoint}; if it is at another '
        'place, name that by --config.data.source=/path/to/videos, and a '
        'folder for built datasets by --config.data.data_dir=/path.'
      ) from error
  evaluate.check_labels(trained.labels, found.labels)
  fold = data.get('fold', 0)
  return Clips(found, split, request.tell_other_data(trained, found, log, fold))


def _configuration(trained, fields):
  """The configuration of a checkpoint, with some fields replaced."""
  config = json_item.resolved(trained.meta)
  usual = frozen.before()
  for section in ('data', 'eval'):
    config[section] = {**usual[section], **config.get(section, {})}
  config, asked = flags.override(config, fields)
  for name in sorted(asked):
    if not name.startswith(_FIELDS):
      raise errors.InputError(
        f'--config.{name} is no place of clips; what can be set are '
        f'{", ".join(f"--config.{x}*" for x in _FIELDS)}.'
      )
  return config


def collect(trained, clips, what, count, log=print):
  """Clips for evaluation, spread evenly over their split, and JAX's answers.

  Args:
    trained: a `checkpoints.TrainedModel`. It is run as it is, not folded,
      in float32.
    clips: `Clips`.
    what: 'clip' or 'step'.
    count: number of clips; of a smaller split, all are used.
    log: called with a sentence if there are fewer.

  Returns:
    `Samples`.

  Raises:
    InputError: if there is no clip, or a record cannot be read.
  """
  source, how = clips.dataset.split(clips.split), trained.preprocessing
  numbers = spread(len(source), count)
  if len(numbers) < count:
    log(
      f'The split {clips.split!r} has {len(numbers)} clips instead of {count}; '
      'all of them are used, and they prove less.'
    )
  with jax.default_matmul_precision('highest'):
    answer = {'clip': _clip, 'step': _steps}[what](graph.in_float32(trained))
    found = []
    for number in numbers:
      record = source[number]
      (view,) = records.eval_views(record, how, _VIEWS, number)
      frames = squares(record, how, number)
      found.append((frames, int(record['label']), answer(view)))
  frames, labels, probabilities = map(np.stack, zip(*found))
  model = trained.module()
  averaged = what == 'step' and model.consensus == 'frames'
  first = model.consensus_from - 1 if averaged else 0
  return Samples(frames, labels, probabilities, first)


def spread(size, count):
  """Numbers of at most `count` clips of a split, spread evenly over it.

  >>> spread(10, 4)
  [0, 3, 6, 9]
  """
  return np.linspace(0, size - 1, min(count, size)).astype(int).tolist()


def squares(record, preprocessing, number=0):
  """The frames of a stored clip that evaluation sees, before the crop.

  Args:
    record: of a dataset, see `codec`.
    preprocessing: a `preprocess.Preprocessing`.
    number: of the record in its split.

  Returns:
    uint8 `[T, F, F, 3]`, see `cropping.eval_square`.
  """
  count = records.num_images(record, preprocessing)
  rate = records.frame_rate(record, preprocessing)
  (indices,) = records.eval_indices(count, preprocessing, _VIEWS, number, rate)
  frames = codec.decode(record, indices)
  size = preprocessing.image_size
  return np.stack([cropping.eval_square(frame, size) for frame in frames])


def _clip(trained):
  """The function from uint8 `[T, S, S, 3]` to float32 `[K]`, as evaluated."""
  model, preprocessing = trained.module(), trained.preprocessing

  @jax.jit
  def logits(variables, frames):
    views = frames[None, None]
    return evaluate.view_logits(model, variables, views, preprocessing)[0]

  return lambda frames: _softmax(logits(trained.variables, frames))


def _steps(trained):
  """The same to float32 `[T, K]`, frame by frame.

  Not by a `stream.Session`, which folds as the export does: the proof would not
  see what the folding does wrong.
  """
  model, preprocessing = trained.module(), trained.preprocessing

  @jax.jit
  def step(variables, kept, frame):
    frame = preprocessing.normalize(frame[None])
    return cache.step(model, variables, kept, frame)

  def answer(frames):
    kept, logits = cache.init_cache(model, 1, preprocessing.image_size), []
    for frame in frames:
      found, kept = step(trained.variables, kept, frame)
      logits.append(found[0])
    return _softmax(np.stack(logits))

  return answer


def _softmax(logits):
  return answers.softmax(logits).astype(np.float32)
