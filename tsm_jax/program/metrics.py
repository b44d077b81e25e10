"""Measures of a batch and of a window of steps, and their files."""

import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tsm_jax import errors, files
from tsm_jax.program import board, divergence, multi_label

FILE = 'metrics.jsonl'


def cross_entropy(logits, label, smoothing=0.0):
  """Cross-entropy `[B]` of `logits` `[B, K]` with smoothed labels.

  A label is an int, or the shares `[K]` of the classes in a mixed clip.
  """
  target = label if label.ndim == 2 else jax.nn.one_hot(label, logits.shape[-1])
  return optax.softmax_cross_entropy(
    logits, optax.smooth_labels(target, smoothing)
  )


def frame_cross_entropy(logits, label, smoothing=0.0):
  """Cross-entropy `[B, T]` of every frame, `logits` `[B, T, K]`.

  A frame has the label of its clip, see `cross_entropy`.
  """
  each = jax.vmap(cross_entropy, in_axes=(1, None, None), out_axes=1)
  return each(logits, label, smoothing)


def weighted_mean(losses, label, weights=None):
  """The mean loss, in which every clip counts by the weight of its class.

  It is a mean over the clips, not over their weights, so that micro batches and
  devices may take it in parts.

  Args:
    losses: `[B]`, or `[B, T]` of frames.
    label: int32 `[B]`, or shares of the classes `[B, K]`; a mixed clip weighs
      the mean of its clips' weights by these shares.
    weights: `[K]`, from `balance.class_weights`; None for equal ones.
  """
  if weights is None:
    return losses.mean()
  weights = jnp.asarray(weights)
  if label.ndim == 2:
    of_clips = (label * weights[None]).sum(-1)
  else:
    of_clips = weights[label]
  return (losses * of_clips.reshape((-1, *[1] * (losses.ndim - 1)))).mean()


def top1(logits, label):
  """The fraction of clips whose largest logit is that of their label.

  Args:
    logits: `[B, K]`.
    label: int32 `[B]`, or shares of the classes `[B, K]`; the largest
      counts.
  """
  label = label.argmax(-1) if label.ndim == 2 else label
  return (logits.argmax(-1) == label).mean()


def counts(logits, label, mask):
  """What evaluation adds up over batches.

  Args:
    logits: `[B, K]`.
    label: int32 `[B]`; of clips of several labels `[B, K]`, for which it is
      `multi_label.counts`.
    mask: `[B]`, 1 for a clip and 0 for filling.

  Returns:
    A dict of sums: confusion int32 `[K, K]` (row: label, column: prediction),
    top5 (clips whose label is among the five largest logits) and loss.
  """
  if label.ndim == 2:
    return multi_label.counts(logits, label, mask)
  num_classes = logits.shape[-1]
  mask = mask.astype(jnp.int32)
  rows = jax.nn.one_hot(label, num_classes, dtype=jnp.int32) * mask[:, None]
  columns = jax.nn.one_hot(logits.argmax(-1), num_classes, dtype=jnp.int32)
  _, best = jax.lax.top_k(logits, min(5, num_classes))
  return {
    'confusion': jnp.einsum('bi,bj->ij', rows, columns),
    'top5': ((best == label[:, None]).any(-1) * mask).sum(),
    'loss': (cross_entropy(logits, label) * mask).sum(),
  }


class Window:
  """The metrics of the steps since the last log line.

  They stay on the devices until somebody looks, so that the loop does not wait
  for every step.
  """

  def __init__(self, values=()):
    """Continues with the values of a checkpoint, see `fetch`."""
    self._values = list(values)

  def append(self, values):
    """Adds the metrics of a step; waits until at most two are in flight."""
    self._values.append(values)
    if len(self._values) > 1:
      jax.block_until_ready(self._values[-2])

  def fetch(self, step):
    """A list of dicts of floats, one of each step up to `step`.

    Raises:
      Diverged: if the loss of one is not finite.
    """
    self._values = [
      {name: float(value) for name, value in step.items()}
      for step in self._values
    ]
    for number, values in enumerate(self._values, step - len(self._values) + 1):
      if not math.isfinite(values['loss']):
        # The loss is that of the parameters after the step before.
        raise divergence.Diverged(
          f'The loss of step {number} is {values["loss"]}', number - 1
        )
    return list(self._values)

  def means(self, step):
    """The mean of every metric up to `step`; the window is empty afterwards."""
    steps, self._values = self.fetch(step), []
    return {
      name: float(np.mean([values[name] for values in steps]))
      for name in steps[0]
    }


def in_short(means, rates):
  """The metrics of a window and its `clock.Clock.rates`, in half a line."""
  return (
    f'loss {means["loss"]:.3f}, top-1 {means["top1"]:.1%}, '
    f'{rates["clips_per_s"]:.0f} clips/s, '
    f'waiting for data {rates["data_wait"]:.0%}'
  )


def read(workdir):
  """The lines of `workdir/metrics.jsonl`, whole ones only, as dicts.

  Numbers that are not finite, which older versions wrote, are left out.

  Raises:
    InputError: if it is no file, or a line no dict of a step and numbers.
  """
  path = files.path(workdir) / FILE
  text = ''
  if path.exists():
    if not files.is_regular(path):  # a pipe would never end
      raise errors.InputError(f'{path} is no regular file; remove it.')
    text = path.read_bytes().decode(errors='replace')
  records = []
  for number, line in enumerate(text.split('\n'), 1):
    try:
      record = json.loads(line)
    except (ValueError, RecursionError):  # cut short by a kill
      continue
    if not _is_record(record):
      raise errors.InputError(
        f'Line {number} of {path} is no line of metrics ({line[:60]!r}); '
        'remove it.'
      )
    records.append({k: v for k, v in record.items() if math.isfinite(v)})
  return records


def _is_record(value):
  """Whether it is a dict of numbers, with a whole one called 'step'."""
  return (
    isinstance(value, dict)
    and type(value.get('step')) is int
    and all(
      type(number) is float or (type(number) is int and abs(number) < 2**63)
      for number in value.values()
    )
  )


def where(workdir):
  """Where the metrics of a run go, as a line."""
  line = f'Metrics are written to {files.path(workdir) / FILE}'
  if files.is_remote(workdir):
    return line
  line += '; to watch them, pip install tensorboard, then tensorboard --logdir'
  return f'{line} {files.path(workdir) / board.FOLDER}'


class Writer:
  """Writes scalars to `metrics.jsonl` and, for TensorBoard, to event files.

  In a bucket, where nothing can be appended, the former is written as a whole
  and there are no event files.
  """

  def __init__(self, workdir, step, active=True):
    """Continues at `step`: later lines, of a killed run, are dropped."""
    self._active = active
    if not active:
      return
    self._path = files.path(workdir) / FILE
    kept = [r for r in read(workdir) if r['step'] <= step]
    self._text = ''.join(json.dumps(r) + '\n' for r in kept)
    files.write(self._path, self._text)
    self._file = self._board = None
    if not files.is_remote(workdir):
      self._file = open(self._path, 'a')  # noqa: SIM115 (closed by close)
      self._board = board.Board(self._path.parent / board.FOLDER, step + 1)

  def write(self, step, scalars):
    """One line with `step` and the scalars, written through at once."""
    if not self._active:
      return
    line = json.dumps({'step': step, **scalars}, allow_nan=False) + '\n'
    # Before the line, which says that this is done: of a kill in between, no
    # more is seen than that TensorBoard has the same value twice.
    if self._board:
      self._board.write(step, scalars)
    if self._file is None:
      self._text += line
      files.write(self._path, self._text)
      return
    self._file.write(line)
    self._file.flush()

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    if self._active and self._file is not None:
      self._file.close()
      self._board.close()
