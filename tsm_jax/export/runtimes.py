"""Exported models in this process: in the runtime that they are for."""

import json

from tsm_jax import errors, files
from tsm_jax.data.clips import pixels
from tsm_jax.data.input import cropping
from tsm_jax.export import card as cards
from tsm_jax.export.runner import engine, rows
from tsm_jax.stream import batch, session
from tsm_jax.stream.events import rules


class Runtime:
  """An exported model that is open.

  Attributes:
    folder: of the export.
    card: its `card.Card`.
    content: the same as card.json has it, a dict.
    labels: class names by index.
    meta: a dict with frame_interval, as that of a checkpoint.
    rule: the `rules.Rule` of its card.
  """

  def __init__(self, folder, threads=None):
    """Opens it, see `open`."""
    self.folder = files.path(folder)
    self.card = cards.read(folder)
    self.content = json.loads((self.folder / cards.FILE).read_text())
    self.labels = self.card.labels
    self.meta = {'frame_interval': self.card.frame_interval}
    where = f'The rule in {self.folder / cards.FILE}'
    self.rule = rules.from_dict(self.card.rule, self.labels, where)
    self.run = engine.open(self.folder, self.content, threads)


def open(folder, threads=None, log=None):
  """An exported model, to be run in this process.

  Args:
    folder: that `python -m tsm_jax.export` wrote.
    threads: that compute, or None for as many as the runtime likes.
    log: called with a sentence if the runtime is of another version than the
      one in which the model was proven.

  Returns:
    A `Runtime`; its `run` maps a dict of arrays by the names of inputs to a
    dict of arrays by the names of outputs.

  Raises:
    InputError: if the folder is no whole export, the runtime is missing (it
      names the package) or cannot open the file; of `run`, if an array has
      another name, dtype or shape than the card says.
  """
  opened = Runtime(folder, threads)
  if log and (other := engine.other_version(opened.content)):
    log(other)
  return opened


class Batch:
  """What a `stream.batch.Batch` is, of an exported model.

  Logits are logarithms of probabilities, which differ from the network's own by
  a number that is the same for all labels.

  Attributes:
    size: number of rows. A step computes those that it shows.
  """

  def __init__(self, runtime, size):
    """Runs nothing yet, see `compile`.

    Args:
      runtime: a `Runtime`, or the folder of an export.
      size: number of rows; the batch of the model may be another one.

    Raises:
      InputError: if it is a model of clips, or as `open`.
    """
    if not isinstance(runtime, Runtime):
      runtime = open(runtime)
    if runtime.card.what != 'step':
      raise errors.InputError(
        f'{runtime.folder} takes whole clips; a stream needs an export by '
        '--what=step.'
      )
    self._how = runtime.content['preprocessing']
    self._streams = rows.Streams(runtime.run, runtime.content, size)
    self._is_warm = False
    self.size = size

  def begin(self, row):
    """Lets a row forget what it saw; it begins with its next frame."""
    self._streams.begin(row)

  def compile(self):
    """Runs the model once, unless it was: some runtimes compile it then."""
    if not self._is_warm:
      self._streams.warm_up()
      self._is_warm = True

  def step(self, frames):
    """Shows some rows their next frame; the others stay as they are.

    Args:
      frames: a dict from rows to uint8 `[S, S, 3]`, from `prepare`.

    Returns:
      Logits, float32 `[B, K]`; those of other rows mean nothing.
    """
    return rows.to_logits(self._streams.step(frames))

  def prepare(self, frame, bgr=False):
    """A frame as the model takes it: as evaluation sees one of a stored clip.

    Args:
      frame: uint8 `[H, W, 3]`, RGB.
      bgr: whether blue and red are exchanged.

    Returns:
      uint8 `[S, S, 3]`, of which the model cuts the centre.

    Raises:
      InputError: if it is no such frame.
    """
    frame = pixels.shrink(batch.rgb(frame, bgr), self._how['short_side'])
    return cropping.eval_square(frame, self._how['image_size'])


def stream(runtime, slots=1, rule=None):
  """A `stream.session.Session` of an exported model.

  Args:
    runtime: a `Runtime`.
    slots: number of streams at most.
    rule: a `rules.Rule`; by default that of the card.

  Raises:
    InputError: if it is a model of clips.
  """
  return session.Session(runtime, slots, rule or runtime.rule, Batch)
