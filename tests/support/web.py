"""A folder on plain web space: Python's own server, on this machine only."""

import contextlib
import functools
import http.server
import threading


class _Handler(http.server.SimpleHTTPRequestHandler):
  def log_message(self, *_):
    pass


@contextlib.contextmanager
def served(folder):
  """Serves a folder while it is open; yields the address, with no '/' after."""
  handler = functools.partial(_Handler, directory=str(folder))
  with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
      yield f'http://127.0.0.1:{server.server_port}'
    finally:
      server.shutdown()
      thread.join()
