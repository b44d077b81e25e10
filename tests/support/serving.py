"""A live server in this process, and viewers who talk to it."""

import contextlib
import io
import json
import struct
import threading
from typing import Any, NamedTuple

from PIL import Image
import websockets.sync.client

from tsm_jax.serve import app, gate, metrics, server, slots

HELLO = {'labels': ['idle', 'red', 'blue'], 'interval': 0.25, 'short_side': 40}
WAIT = 20  # seconds for an answer


class Running(NamedTuple):
  """A server: where it is, its viewers and its counters."""

  address: str
  viewers: slots.Slots
  counted: Any

  def number(self, name, **labels):
    """A counter as `/metrics` shows it."""
    return self.counted.registry.get_sample_value(f'tsm_jax_{name}', labels)


@contextlib.contextmanager
def running(session, interval=0.25, proxies=(), token=''):
  """Serves a `Session`; yields a `Running`."""
  counted = metrics.Metrics(session.slots)
  viewers = slots.Slots(session, interval, counted)
  allowed = gate.Gate((), proxies, token)
  application = app.create(viewers, allowed, counted, HELLO)
  created = server.create(application, session.slots)
  with server.listen('127.0.0.1', 0) as listener:
    address = '{}:{}'.format(*listener.getsockname())
    thread = threading.Thread(
      target=server.run, args=(created, viewers, listener)
    )
    thread.start()
    try:
      yield Running(address, viewers, counted)
    finally:
      created.should_exit = True
      thread.join()


class Client:
  """A viewer.

  Attributes:
    socket: its connection.
    hello: what it was told first.
  """

  def __init__(self, address, token='', origin=None):
    """Connects with `with`, and says hello but for `token=None`."""
    self._token = token
    self._connection = websockets.sync.client.connect(
      f'ws://{address}/live',
      origin=origin or f'http://{address}',
      compression=None,
      proxy=None,
    )

  def __enter__(self):
    self.socket = self._connection.__enter__()
    if self._token is not None:
      self.say(token=self._token)
      self.hello = self.hear()
    return self

  def __exit__(self, *unused):
    self._connection.__exit__(*unused)

  def say(self, **content):
    self.socket.send(json.dumps(content))

  def show(self, seconds, jpeg):
    self.socket.send(message(seconds, jpeg))

  def hear(self):
    return json.loads(self.socket.recv(timeout=WAIT))

  def ask(self, seconds, jpeg):
    """The answer to a picture."""
    self.show(seconds, jpeg)
    return self.hear()

  def closed(self):
    """`(code, reason)` with which the server ends the connection."""
    try:
      while True:
        self.hear()
    except websockets.ConnectionClosed as error:
      return error.rcvd and (error.rcvd.code, error.rcvd.reason)


def message(seconds, jpeg):
  return struct.pack('<d', seconds) + jpeg


def encode(frame, **options):
  """JPEG bytes of a frame, or of another format."""
  content = io.BytesIO()
  options = {'format': 'JPEG', 'quality': 95, **options}
  Image.fromarray(frame).save(content, **options)
  return content.getvalue()
