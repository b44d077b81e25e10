"""Events and scores as rows: on standard output, or in CSV files."""

import csv
import json
import math
import os

import numpy as np

from tsm_jax import errors
from tsm_jax.stream.output import base

_ROUNDING = 1e-6  # seconds: times are sums, which are not exact
EVENT_COLUMNS = ('path', 'start', 'end', 'label', 'score', 'decided')


class Table(base.Output):
  """Prints every event as a row, as soon as it has ended."""

  def __init__(self, show, name):
    """Prints the head of the table.

    Args:
      show: prints a line.
      name: of the video.
    """
    self._show = show
    show(errors.printable(name))
    show(f'{"start":>11} {"end":>11} {"score":>7}  label')

  def event(self, event):
    start, end = clock(event.start), clock(event.end)
    label = errors.printable(event.label)
    self._show(f'{start:>11} {end:>11} {event.score:>7.1%}  {label}')


class JsonLines(base.Output):
  """Prints every event as one line of JSON, as soon as it has ended."""

  def __init__(self, show, name):
    """Prints nothing yet.

    Args:
      show: prints a line.
      name: of the video.
    """
    self._show, self._name = show, name

  def event(self, event):
    self._show(json.dumps({'video': self._name, **event._asdict()}))


class EventCsv(base.TextFile):
  """A CSV file with a row for every event, which is a list of segments, too."""

  def __init__(self, path, name):
    """Writes the columns `EVENT_COLUMNS`.

    Args:
      path: of the CSV file.
      name: of the video. A list counts paths from its own folder.
    """
    super().__init__(path)
    if os.path.exists(name) and not os.path.isabs(name):
      name = os.path.relpath(name, os.path.dirname(os.path.abspath(path)))
    self._rows, self._name = csv.writer(self, lineterminator='\n'), name
    self._rows.writerow(EVENT_COLUMNS)

  def event(self, event):
    start, end, decided = (
      f'{x:.3f}' for x in (event.start, event.end, event.decided)
    )
    score = f'{event.score:.4f}'
    self._rows.writerow([self._name, start, end, event.label, score, decided])


class ScoreCsv(base.TextFile):
  """A CSV file with a row for every second: the mean probability of a label.

  A second in which no frame is shown to the model has no row.
  """

  def __init__(self, path, labels):
    """Writes the columns `second` and one for every label."""
    super().__init__(path)
    self._rows = csv.writer(self, lineterminator='\n')
    self._rows.writerow(['second', *labels])
    self._second, self._sum, self._count = None, 0.0, 0

  def answer(self, time, answer):
    second = math.floor(time + _ROUNDING)
    if second != self._second:
      self._end_second()
      self._second = second
    self._sum = self._sum + np.asarray(answer.probabilities, np.float64)
    self._count += 1

  def _end_second(self):
    if self._count:
      scores = [f'{x:.4f}' for x in self._sum / self._count]
      self._rows.writerow([self._second, *scores])
    self._sum, self._count = 0.0, 0

  def close(self):
    self._end_second()
    super().close()


def clock(seconds):
  """Seconds as hours, minutes and seconds.

  >>> clock(3723.456)
  '1:02:03.46'
  """
  minutes, rest = divmod(round(seconds * 100), 6000)
  return f'{minutes // 60}:{minutes % 60:02d}:{rest / 100:05.2f}'
