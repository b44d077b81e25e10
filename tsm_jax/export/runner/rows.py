"""Clips and streams through an exported model, whatever its batch.

This file travels with an export, see `engine`.
"""

import numpy as np


class Streams:
  """Streams that follow a model's steps, with what it remembers of each.

  Attributes:
    size: number of streams.
  """

  def __init__(self, run, card, size, batch=1):
    """All streams begin with their first frame.

    Args:
      run: from `engine.open`.
      card: what card.json says, of an export of steps.
      size: number of streams.
      batch: how many a model of any batch is shown at once; CPUs are as fast
        with one after the other.
    """
    self.size = size
    self._run = run
    self._batch = card['batch'] or batch
    self._tensors = {tensor['name']: tensor for tensor in card['inputs']}
    self._names = dict(card['caches'])  # from input to output
    # Of each stream, as the model gave it: what is copied takes a part of the
    # time of a small network.
    zeros = {name: self._zeros(name, 1) for name in self._names}
    self._caches = [dict(zeros) for _ in range(size)]
    # 1 for those that begin with their next frame.
    self._fresh = np.ones(size, self._tensors['reset']['dtype'])

  def begin(self, row):
    """Lets a stream begin anew with its next frame."""
    self._fresh[row] = True

  def warm_up(self):
    """Runs the model once, for nothing: the first time may take longer."""
    self._run({name: self._zeros(name, self._batch) for name in self._tensors})

  def step(self, frames):
    """Shows some streams their next frame; the others stay as they are.

    Args:
      frames: a dict from the numbers of streams to uint8 `[F, F, 3]`.

    Returns:
      Probabilities, float32 `[size, K]`; those of other streams are 0.
    """
    found, rows = None, sorted(frames)
    for start in range(0, len(rows), self._batch):
      some = rows[start : start + self._batch]
      probabilities = self._take([frames[row] for row in some], some)
      if found is None:
        found = np.zeros((self.size, probabilities.shape[1]), np.float32)
      found[some] = probabilities
    return found

  def _take(self, frames, rows):
    given = [
      {
        'frames': np.ascontiguousarray(frame)[None],
        'reset': self._fresh[row : row + 1],
        **self._caches[row],
      }
      for frame, row in zip(frames, rows)
    ]
    outputs = self._run(given[0] if self._batch == 1 else self._joined(given))
    for i, row in enumerate(rows):
      self._caches[row] = {
        name: outputs[result][i : i + 1] for name, result in self._names.items()
      }
    self._fresh[rows] = 0
    return outputs['probabilities'][: len(rows)]

  def _joined(self, given):
    """The inputs of some streams as one batch; missing rows are zeros."""
    missing = self._batch - len(given)
    return {
      name: np.concatenate(
        [*(x[name] for x in given), self._zeros(name, missing)]
      )
      for name in self._tensors
    }

  def _zeros(self, name, size):
    tensor = self._tensors[name]
    return np.zeros((size, *tensor['shape'][1:]), tensor['dtype'])


def classify(run, card, clips, batch=1):
  """The probabilities of clips.

  Args:
    run: from `engine.open`.
    card: what card.json says, of an export of clips.
    clips: uint8 `[N, T, F, F, 3]`.
    batch: how many a model of any batch is shown at once.

  Returns:
    float32 `[N, K]`.
  """
  batch, found = card['batch'] or batch, []
  for start in range(0, len(clips), batch):
    some = clips[start : start + batch]
    frames = np.zeros((batch, *clips.shape[1:]), np.uint8)
    frames[: len(some)] = some
    found.append(run({'frames': frames})['probabilities'][: len(some)])
  return np.concatenate(found)


def to_logits(probabilities):
  """Logits of probabilities float32: their logarithms, none infinite.

  A network's own differ from these by a number that is the same for all labels,
  which no rule and no softmax sees.
  """
  return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
