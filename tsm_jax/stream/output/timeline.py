"""The scores of a stream over its time, as a picture with its events."""

import io

import matplotlib as mpl
from matplotlib import figure
import numpy as np

from tsm_jax import files
from tsm_jax.stream.output import base

MAX_BINS = 2048  # points in time; of a longer stream, neighbours are averaged
MAX_CURVES = 8
_FIRST_BIN = 0.1  # seconds
_STYLE = {'axes.spines.top': False, 'axes.spines.right': False}


class Timeline(base.Output):
  """Collects a stream's scores, in bounded memory, and draws them at its end.

  A bin is 0.1 s wide. When there are too many, each two become one.
  """

  def __init__(self, path, labels):
    """Draws nothing yet; `labels` are the class names by index."""
    base.check(path)
    self._path, self._labels, self._events = path, labels, []
    self._sums = np.zeros((MAX_BINS, len(labels)), np.float32)
    self._counts = np.zeros(MAX_BINS, np.int64)
    self._width = _FIRST_BIN

  def answer(self, time, answer):
    while time >= MAX_BINS * self._width:
      for x in (self._sums, self._counts):
        pairs = x.reshape(MAX_BINS // 2, 2, *x.shape[1:]).sum(1)
        x[: MAX_BINS // 2], x[MAX_BINS // 2 :] = pairs, 0
      self._width *= 2
    index = int(time / self._width)
    self._sums[index] += answer.probabilities
    self._counts[index] += 1

  def event(self, event):
    self._events.append(event)

  def scores(self):
    """`(times [N], probabilities [N, K])`, of the bins that have answers."""
    (used,) = np.nonzero(self._counts)
    times = (used + 0.5) * self._width
    return times, self._sums[used] / self._counts[used, None]

  def close(self):
    times, scores = self.scores()
    files.write(self._path, draw(times, scores, self._labels, self._events))


def draw(times, scores, labels, events, truth=None):
  """Scores over time, with bars under them that show when something happens.

  Of many labels, those with events are shown, then those of the highest scores.

  Args:
    times: seconds `[N]`.
    scores: probabilities `[N, K]`.
    labels: class names `[K]`.
    events: `rules.Event`s, or anything with start, end and label.
    truth: the true ones, for a second row of bars, or None.

  Returns:
    The bytes of a PNG.
  """
  times = np.asarray(times, np.float64)
  rows = {'found': events, **({} if truth is None else {'true': truth})}
  shown = _chosen(scores, labels, [e for row in rows.values() for e in row])
  colours = {label: f'C{i}' for i, label in enumerate(shown)}
  scale, unit = _unit(max(times, default=0.0))
  with mpl.rc_context(_STYLE):
    fig = figure.Figure((10, 3 + 0.3 * len(rows)), layout='constrained')
    curves, bars = fig.subplots(
      2, sharex=True, height_ratios=[6, 0.6 * len(rows)]
    )
    for label in shown:
      values = scores[:, labels.index(label)]
      curves.plot(times / scale, values, color=colours[label], label=label)
    for y, events_of_row in enumerate(rows.values()):
      for event in events_of_row:
        width = (event.end - event.start) / scale
        bars.barh(
          y,
          width,
          left=event.start / scale,
          color=colours.get(event.label, 'grey'),
        )
  curves.set(ylim=(0, 1), ylabel='probability')
  if shown:
    curves.legend(loc='upper left', bbox_to_anchor=(1, 1), frameon=False)
  bars.set(xlabel=f'time ({unit})', yticks=range(len(rows)))
  bars.set_yticklabels(rows)
  bars.set_ylim(len(rows) - 0.5, -0.5)
  content = io.BytesIO()
  fig.savefig(content, dpi=110)
  return content.getvalue()


def _chosen(scores, labels, events):
  """The labels that are drawn, in the order of `labels`."""
  happened = {event.label for event in events}
  peaks = scores.max(axis=0) if len(scores) else np.zeros(len(labels))
  order = sorted(
    range(len(labels)), key=lambda i: (labels[i] not in happened, -peaks[i])
  )
  return [labels[i] for i in sorted(order[:MAX_CURVES])]


def _unit(seconds):
  """Seconds in a unit of a long time's axis, and its name."""
  if seconds >= 2 * 3600:
    return 3600, 'h'
  return (60, 'min') if seconds >= 300 else (1, 's')
