"""Scalars for TensorBoard."""

import sys
import time

FOLDER = 'tensorboard'  # of the event files, in a workdir


class Board:
  """Events for TensorBoard.

  They are in the file when `write` returns. tensorboardX's own `SummaryWriter`
  has a thread for that, with which a kill loses what came last.
  """

  def __init__(self, folder, step):
    """A new file, after which no earlier event from `step` on is shown."""
    event_file_writer, summary, event_pb2 = _tensorboard()
    self._event, self._scalar = event_pb2.Event, summary.scalar
    folder.mkdir(parents=True, exist_ok=True)
    # Its name begins with the time in seconds; files are read by their names.
    self._file = event_file_writer.EventsWriter(
      str(folder / 'events'), f'.{step:09d}'
    )
    start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    self._add(step, session_log=start)
    self._file.flush()

  def write(self, step, scalars):
    for name, value in scalars.items():
      self._add(step, summary=self._scalar(name, value))
    self._file.flush()

  def close(self):
    self._file.close()

  def _add(self, step, **content):
    self._file.write_event(
      self._event(step=step, wall_time=time.time(), **content)
    )


def _tensorboard():
  """Modules of tensorboardX, which would load PyTorch, too, for seconds."""
  absent = sys.modules.setdefault('torch', None) is None
  try:
    from tensorboardX import event_file_writer, summary
    from tensorboardX.proto import event_pb2
  finally:
    if absent:
      del sys.modules['torch']
  return event_file_writer, summary, event_pb2
