"""Whether an exported model answers as JAX does, on real clips."""

import json
import platform
from typing import NamedTuple
import zipfile

import numpy as np

from tsm_jax import errors, files
from tsm_jax.export import runtimes, samples
from tsm_jax.export.runner import engine, rows

FILE, DATA = 'parity.json', 'proof.npz'
_ANY_BATCH = 4  # clips at once of a model that takes any number


class Bounds(NamedTuple):
  """How much an export may differ; None is any.

  Attributes:
    difference: of a probability.
    equal: the share of clips with the same top-1, at least.
  """

  difference: float | None = None
  equal: float | None = None


USUAL = {
  'float32': Bounds(difference=1e-4),
  'float16': Bounds(difference=1e-2),
  'int8': Bounds(equal=0.98),
}


class Comparison(NamedTuple):
  """An exported model and JAX on the same clips.

  Attributes:
    num_clips: clips, or streams.
    num_frames: answers that were compared: one of a clip, one of each frame.
    difference: the largest of a probability.
    equal: the share of clips with the same top-1.
    equal_frames: the same of all answers.
    top1: the share of clips that the export answers right.
    jax_top1: the share that JAX answers right.
  """

  num_clips: int
  num_frames: int
  difference: float
  equal: float
  equal_frames: float
  top1: float
  jax_top1: float

  def line(self):
    """It in words."""
    of = f' ({self.num_frames} frames)' * (self.num_frames > self.num_clips)
    return (
      f'{self.num_clips} clips{of}: probabilities differ by at most '
      f'{self.difference:.1e}, {self.equal:.2%} have the same top-1, which is '
      f'right for {self.top1:.2%} ({self.jax_top1:.2%} in JAX)'
    )

  def check(self, limits):
    """Raises InputError if it differs by more than `Bounds` allow."""
    reasons = []
    if not np.isfinite(self.difference):
      reasons.append('some of its probabilities are no numbers')
    elif limits.difference is not None and self.difference > limits.difference:
      reasons.append(
        f'they may differ by {limits.difference:g} (--max_difference)'
      )
    if limits.equal is not None and self.equal < limits.equal:
      reasons.append(
        f'{limits.equal:.2%} must have the same top-1 (--min_equal)'
      )
    if reasons:
      raise errors.InputError(
        'The exported model does not answer as the trained one: of '
        f'{self.line()}; {" and ".join(reasons)}.'
      )


def bounds(usual, difference=None, equal=None):
  """`Bounds`, or the usual ones of a precision, of which some are replaced."""
  usual = USUAL.get(usual, usual)
  return Bounds(
    usual.difference if difference is None else difference,
    usual.equal if equal is None else equal,
  )


def compare(runtime, found):
  """Runs samples in the runtime of an export.

  Args:
    runtime: a `runtimes.Runtime`.
    found: `samples.Samples`.

  Returns:
    A `Comparison`.
  """
  answer = {'clip': _clips, 'step': _steps}[runtime.card.what]
  here, there = answer(runtime, found.frames), found.probabilities
  own, expected = (_decide(x, found.first) for x in (here, there))
  return Comparison(
    num_clips=len(found.labels),
    num_frames=int(np.prod(here.shape[:-1])),
    difference=float(np.abs(here - there).max()),
    equal=float(np.mean(own == expected)),
    equal_frames=float(np.mean(here.argmax(-1) == there.argmax(-1))),
    top1=float(np.mean(own == found.labels)),
    jax_top1=float(np.mean(expected == found.labels)),
  )


def _clips(runtime, frames):
  return rows.classify(runtime.run, runtime.content, frames, _ANY_BATCH)


def _steps(runtime, frames):
  """Probabilities float32 `[N, T, K]` of clips, one after the other on a row.

  A row begins a step later than the one before it, so that the clips of a batch
  are reset at different times.
  """
  num_clips, length = frames.shape[:2]
  size = min(runtime.card.batch or _ANY_BATCH, num_clips)
  streams = rows.Streams(runtime.run, runtime.content, size, _ANY_BATCH)
  found = np.zeros((num_clips, length, len(runtime.labels)), np.float32)
  for time in range(-(-num_clips // size) * length + size - 1):
    shown = {}  # the number of the clip and of its frame, by the row
    for row in range(size):
      turn, t = divmod(time - row, length)
      if turn >= 0 and (number := turn * size + row) < num_clips:
        shown[row] = number, t
        if t == 0:
          streams.begin(row)
    answers = streams.step({row: frames[at] for row, at in shown.items()})
    for row, at in shown.items():
      found[at] = answers[row]
  return found


def _decide(probabilities, first):
  """The top-1 of clips, int `[N]`; of streams by the mean over their frames."""
  if probabilities.ndim == 3:
    probabilities = rows.to_logits(probabilities)[:, first:].mean(axis=1)
  return probabilities.argmax(-1)


def prove(folder, found, limits, about=None):
  """Proves an export, and writes `FILE` and `DATA` into its folder.

  Args:
    folder: of the export, with its model and its card.
    found: `samples.Samples` of the checkpoint that it was made of.
    limits: `Bounds`.
    about: a dict of what else `FILE` says, such as the dataset.

  Returns:
    A `Comparison`.

  Raises:
    InputError: if the two differ by more than the bounds allow, or the runtime
      is missing.
  """
  runtime = runtimes.open(folder)
  result = compare(runtime, found)
  result.check(limits)
  format = runtime.card.format
  report = {
    **result._asdict(),
    'bounds': limits._asdict(),
    'runtime': engine.FORMATS[format][1],
    'runtime_version': engine.version(format),
    'machine': platform.machine(),
    **(about or {}),
  }
  text = json.dumps(report, indent=1, allow_nan=False)
  files.write(runtime.folder / FILE, text + '\n')
  write(runtime.folder / DATA, found)
  return result


def verify(folder, difference=None, equal=None, found=None, log=print):
  """Proves an export again, with what is in its folder, as it is here.

  Args:
    folder: of the export.
    difference: as in `Bounds`, instead of that of its first proof.
    equal: the same.
    found: other `samples.Samples` than those of the folder, or None.
    log: called with every line for the user.

  Returns:
    Whether it answers as JAX does.

  Raises:
    InputError: if the folder is no whole export, or its runtime is missing.
  """
  runtime = runtimes.open(folder, log=log)
  limits = bounds(_kept(runtime.folder / FILE), difference, equal)
  found = found or read(runtime.folder / DATA, len(runtime.labels))
  result = compare(runtime, found)
  format = runtime.card.format
  log(f'{engine.FORMATS[format][1]} {engine.version(format)}, {result.line()}.')
  try:
    result.check(limits)
  except errors.InputError as error:
    log(f'error: {error}')
    return False
  return True


def _kept(path):
  """The `Bounds` of a report."""
  try:
    return Bounds(**files.read_json(path)['bounds'])
  except (KeyError, TypeError):
    raise errors.InputError(f'{path} has no bounds; export again.') from None


def write(path, found):
  """Writes `samples.Samples` as a file of NumPy."""
  with open(path, 'wb') as file:
    np.savez_compressed(file, **found._asdict())


def read(path, num_classes):
  """The `samples.Samples` that `write` wrote.

  Raises:
    InputError: if it is no such file.
  """
  try:
    with open(path, 'rb') as file, np.load(file) as content:
      found = samples.Samples(**{name: content[name] for name in content})
    count, *_, channels = found.frames.shape
    fits = (found.frames.dtype, channels) == (np.uint8, 3)
    fits &= count == len(found.labels) == len(found.probabilities) > 0
    fits &= found.probabilities.shape[-1] == num_classes
  except (OSError, ValueError, TypeError, zipfile.BadZipFile) as error:
    raise errors.InputError(f'{path} cannot be read: {error}.') from error
  if not fits:
    raise errors.InputError(f'{path} holds no clips of {num_classes} classes.')
  return found._replace(first=int(found.first))
