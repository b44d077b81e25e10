"""The frames of a camera of the network, by its rtsp:// address."""

import contextlib
import re

import av

from tsm_jax.data.clips import opening
from tsm_jax.data.sources import arguments
from tsm_jax.stream.frames import cameras, source

_ADDRESS = re.compile('rtsps?://', re.IGNORECASE)
# No more than RTSP needs: over TCP where the camera can.
_OPTIONS = {
  'protocol_whitelist': 'rtsp,rtp,tcp,udp,tls',
  'rtsp_flags': 'prefer_tcp',
  # What comes while FFmpeg examines the stream is late: it takes a short look.
  'fpsprobesize': '0',
  'analyzeduration': '2000000',  # microseconds
}
_DENIED = (
  *(av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError),
  av.error.PermissionError,
)


def is_address(argument):
  """Whether an argument of a command is an address of this kind."""
  return bool(_ADDRESS.match(argument))


def read(address, stopped, log):
  """The frames of a camera at an address, a `cameras.Camera`.

  Args:
    address: begins with rtsp:// or rtsps://. FFmpeg may speak RTSP and what
      that needs, and opens nothing else.
    stopped: whether to end now.
    log: called with a sentence when the camera goes away and when it is back.

  Raises:
    InputError: if it cannot be reached, refuses, or sends no video.
  """
  name = arguments.shown(address)

  def connect():
    connection = _Connection()
    return _Received(name, connection, connection.open(address))

  return cameras.Camera(name, connect, stopped, log)


class _Received(source.Source):
  """What one connection brings."""

  def __init__(self, name, connection, opened):
    super().__init__(name, opened)
    self._connection = connection

  @property
  def ending(self):
    """Why it has ended, in words that follow its name."""
    return self._connection.ending


class _Connection:
  """An open container whose errors are its end; what it has is the container's.

  Of a file, one goes on past a packet that cannot be read. Here, the next one
  would be waited for as long as for this one.
  """

  def __init__(self):
    self.ending = ''

  def __getattr__(self, name):
    return getattr(self._container, name)

  @contextlib.contextmanager
  def open(self, address):
    try:
      self._container = av.open(
        address,
        format='rtsp',
        options=_OPTIONS,
        timeout=cameras.STALL,
        metadata_errors='backslashreplace',
      )
    except (av.error.FFmpegError, OSError, ValueError) as error:
      raise opening.VideoError(_refusal(error)) from None
    with self._container:
      yield self

  def demux(self, stream):
    try:
      yield from self._container.demux(stream)
    except av.error.FFmpegError as error:
      self.ending = f'is away ({_words(error)})'


def _refusal(error):
  if isinstance(error, _DENIED):
    return (
      f'the camera refuses ({_words(error)}); give a user and a password '
      'in the address, as in rtsp://USER:PASSWORD@HOST/PATH'
    )
  return f'the camera cannot be reached ({_words(error)})'


def _words(error):
  """What an error says, without the address, which may hold a password."""
  if isinstance(error, av.error.ExitError | av.error.TimeoutError):
    return f'nothing came for {cameras.STALL:g} s'
  return opening.reason(error)
