"""How much a viewer may ask of the server, and how it is told that it ends."""

import time

MAX_MESSAGE = 2**20  # bytes
MAX_TEXT = 1000  # characters of a message that is no picture
MAX_SIDE = 2048  # pixels
MIN_SIDE = 8
MAX_SEGMENTS = 100  # of a JPEG before its pixels
MAX_HEADER = 2**13  # bytes of those that are needed
MAX_SCANS = 4  # one for each component
MAX_RATIO = 8  # of the sides of a picture: it is enlarged to the model's size
MAX_TIME = 1e10  # seconds; a clock that counts since 1970 is far below
RATE = 60  # messages in a second, over the last seconds
PARTS = 600  # of messages, and pings; a browser sends large messages in parts
HELLO_SECONDS = 10.0  # for the first message
HTTP_SECONDS = 30.0  # for a connection that becomes no WebSocket
IDLE_SECONDS = 60.0  # without a message
SEND_SECONDS = 10.0  # for a message to leave
MORE_CONNECTIONS = 64  # than slots: who asks for the page, or is refused

# WebSocket's codes for the end of a connection (RFC 6455, section 7.4.1).
NORMAL = 1000
WRONG_TYPE = 1003
MALFORMED = 1007
POLICY = 1008
TOO_LARGE = 1009
TRY_LATER = 1013


class Closing(Exception):
  """The connection ends.

  Attributes:
    code: of WebSocket.
    reason: a sentence, of 123 bytes at most.
  """

  def __init__(self, code, reason):
    super().__init__(reason)
    self.code = code
    self.reason = reason.encode()[:123].decode(errors='ignore')


class Rate:
  """Counts up to a number in a second, and as many at once after a pause."""

  def __init__(self, most, what='messages', now=time.monotonic):
    """Starts with nothing used.

    Args:
      most: the number.
      what: is counted, for the reason.
      now: a clock in seconds.
    """
    self._most, self._what, self._now = most, what, now
    self._last, self._left = now(), float(most)

  def count(self):
    """Raises `Closing` if this is one too many."""
    now, most = self._now(), self._most
    self._left = min(most, self._left + most * (now - self._last)) - 1
    self._last = now
    if self._left < 0:
      raise Closing(POLICY, f'More than {most} {self._what} came in a second.')
