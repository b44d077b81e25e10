"""Standard input that is a real pipe."""

import contextlib
import os
import sys
import threading


@contextlib.contextmanager
def standard_input(monkeypatch, content, close=True):
  """A thread writes `content` into the pipe; `close=False` leaves it silent."""
  read, write = os.pipe()

  def feed():
    with os.fdopen(write, 'wb', closefd=False) as file:
      file.write(content)
    if close:
      os.close(write)

  thread = threading.Thread(target=feed)
  with os.fdopen(read) as stream:
    monkeypatch.setattr(sys, 'stdin', stream)
    thread.start()
    yield
  thread.join()
  if not close:
    os.close(write)
