"""The server around the application: its socket, and limits of connections."""

import ipaddress
import os
import socket
import threading

import uvicorn
from uvicorn.protocols.http import h11_impl
from uvicorn.protocols.websockets import websockets_sansio_impl

from tsm_jax import errors
from tsm_jax.serve import limits

_UNREAD_SECONDS = 30  # before a connection is given up whose peer reads nothing


def listen(host, port):
  """A socket that listens.

  Args:
    host: a name or address of this machine.
    port: 0 for a free one.

  Raises:
    InputError: if the port is taken or the address is not of this machine.
  """
  if not 0 <= port < 2**16:
    raise errors.InputError(
      f'--port is {port}; it must be at most 65535, or 0 for any that is free.'
    )
  try:
    family, *_, address = socket.getaddrinfo(
      host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.create_server(address[:2], family=family)
  except (OSError, UnicodeError) as error:
    number = getattr(error, 'errno', None) or 0  # of a name, it is negative
    reason = os.strerror(number) if number > 0 else error
    raise errors.InputError(
      f'Port {port} of {host} cannot be used: {reason}; choose another one '
      'with --port, 0 for any that is free.'
    ) from error
  if hasattr(socket, 'TCP_USER_TIMEOUT'):
    listener.setsockopt(
      socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * _UNREAD_SECONDS
    )
  return listener


def is_local(listener):
  """Whether only this machine can connect to a socket."""
  return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def run(created, viewers, listener):
  """Serves until a signal, or `created.should_exit`; steps the model meanwhile.

  Args:
    created: from `create`.
    viewers: a `slots.Slots`.
    listener: from `listen`; it is closed at the end.

  Raises:
    Exception: what ended the model's steps.
    KeyboardInterrupt: after Ctrl-C.
  """

  def stop():
    created.should_exit = True

  thread = threading.Thread(target=viewers.run, args=(stop,))
  thread.start()
  try:
    created.run([listener])
  finally:
    viewers.close()
    thread.join()
  if viewers.error:
    raise viewers.error


def create(application, slots):
  """A server, not yet running.

  Args:
    application: an ASGI application.
    slots: number of viewers at most.

  Returns:
    A `uvicorn.Server` for `run`.
  """

  class Limited(_Limited):
    most = slots + limits.MORE_CONNECTIONS

  config = uvicorn.Config(
    application,
    loop='asyncio',
    http=Limited,
    ws=_LimitedSocket,
    # Those a little larger than allowed are refused with a reason.
    ws_max_size=2 * limits.MAX_MESSAGE,
    # A small message may be a large one that was compressed.
    ws_per_message_deflate=False,
    lifespan='off',
    log_config=None,
    log_level='error',
    access_log=False,
    proxy_headers=False,
    server_header=False,
    timeout_graceful_shutdown=3,
  )
  return uvicorn.Server(config)


class _Limited(h11_impl.H11Protocol):
  """HTTP whose connections are of a bounded number and length.

  uvicorn limits neither those that become WebSockets, nor the time until a
  request is whole.
  """

  most = 0
  _timer = None

  def connection_made(self, transport):
    super().connection_made(transport)
    if len(self.connections) > self.most:
      transport.abort()
    else:
      self._timer = self.loop.call_later(limits.HTTP_SECONDS, transport.abort)

  def connection_lost(self, exc):
    self._stop_timer()
    super().connection_lost(exc)

  def handle_websocket_upgrade(self, event):
    self._stop_timer()
    super().handle_websocket_upgrade(event)

  def _stop_timer(self):
    if self._timer:
      self._timer.cancel()


class _LimitedSocket(websockets_sansio_impl.WebSocketsSansIOProtocol):
  """A WebSocket of a bounded rate of what the application does not see."""

  def connection_made(self, transport):
    super().connection_made(transport)
    self._rate = limits.Rate(limits.PARTS, 'pings and parts of messages')

  def handle_ping(self):
    if self._goes_on():
      super().handle_ping()

  def handle_cont(self, event):
    if self._goes_on():
      super().handle_cont(event)

  def _goes_on(self):
    """Whether this one is heard; if there are too many, the connection ends."""
    if self.transport.is_closing():
      return False
    try:
      self._rate.count()
    except limits.Closing as closing:
      self.conn.fail(closing.code, closing.reason)
      self.transport.write(b''.join(self.conn.data_to_send()))
      self.close_sent = True
      self.transport.close()
      return False
    return True
