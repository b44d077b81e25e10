"""A folder on plain web space: Python's own server, on this machine only."""

import contextlib
import functools
import http.server
import threading


class _Handler(http.server.SimpleHTTPRequestHandler):
  def __init__(self, *args, headers, seen, **options):
    self.own_headers, self.seen = headers, seen
    super().__init__(*args, **options)

  def end_headers(self):
    for name, value in self.own_headers.items():
      self.send_header(name, value)
    super().end_headers()

  def log_message(self, *unused):
    self.seen.append(self.path)


@contextlib.contextmanager
def served(folder, headers=None, seen=None):
  """Serves a folder while it is open; yields the address, with no '/' after.

  Args:
    folder: its path.
    headers: a dict of those that are added to every answer.
    seen: a list that gets the path of every request.
  """
  handler = functools.partial(
    _Handler,
    directory=str(folder),
    headers=headers or {},
    seen=[] if seen is None else seen,
  )
  with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
      yield f'http://127.0.0.1:{server.server_port}'
    finally:
      server.shutdown()
      thread.join()
