"""A camera of the network: RTSP over TCP, MPEG-TS in RTP (RFC 2326, 2250)."""

import base64
import contextlib
import socketserver
import struct
import threading
import time

_SDP = (
  'v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\n'
  'm=video 0 RTP/AVP 33\r\na=control:video\r\n'
)
_PACKET = 188  # bytes of MPEG-TS


class Camera(socketserver.ThreadingTCPServer):
  """Sends the bytes of a film in MPEG-TS to whoever plays it.

  Attributes:
    address: of it.
    calls: the methods that it was asked for, in order.
    films: bytes to send, one for each connection; None: it is silent instead.
      The last one is for all later ones.
    user: 'name:password' that it asks for, or ''.
  """

  daemon_threads = allow_reuse_address = True

  def __init__(self, *films, user='', pause=0.0, port=0):
    super().__init__(('127.0.0.1', port), _Session)
    self.films, self.user, self.pause = list(films), user, pause
    self.calls = []
    secret = f'{user}@' if user else ''
    self.address = f'rtsp://{secret}127.0.0.1:{self.server_address[1]}/door'
    self.ending = threading.Event()


@contextlib.contextmanager
def serving(*films, **kwargs):
  """A `Camera` that answers, for a while."""
  with Camera(*films, **kwargs) as camera:
    thread = threading.Thread(target=camera.serve_forever, args=(0.05,))
    thread.start()
    try:
      yield camera
    finally:
      camera.ending.set()
      camera.shutdown()
      thread.join()


class _Session(socketserver.StreamRequestHandler):
  def handle(self):
    with contextlib.suppress(OSError):
      while request := self._request():
        method, fields = request
        self.server.calls.append(method)
        if not self._answer(method, fields):
          return

  def _request(self):
    line = self.rfile.readline().decode()
    if not line.strip():
      return None
    fields = {}
    while field := self.rfile.readline().decode().strip():
      name, _, value = field.partition(':')
      fields[name.lower()] = value.strip()
    return line.split()[0], fields

  def _answer(self, method, fields):
    """Answers; whether the connection goes on."""
    number = fields['cseq']
    if self.server.user:
      code = base64.b64encode(self.server.user.encode()).decode()
      if fields.get('authorization') != f'Basic {code}':
        realm = 'WWW-Authenticate: Basic realm="camera"'
        return self._reply('401 Unauthorized', number, realm)
    if method == 'DESCRIBE':
      return self._reply(
        '200 OK', number, 'Content-Type: application/sdp', body=_SDP
      )
    if method == 'SETUP':
      transport = 'Transport: RTP/AVP/TCP;unicast;interleaved=0-1'
      return self._reply('200 OK', number, 'Session: 1', transport)
    if method == 'PLAY':
      self._reply('200 OK', number, 'Session: 1')
      self._play()
      return False
    if method == 'TEARDOWN':
      return False
    public = 'Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN'
    return self._reply('200 OK', number, public)

  def _reply(self, status, number, *fields, body=''):
    lines = f'RTSP/1.0 {status}', f'CSeq: {number}', *fields
    length = f'Content-Length: {len(body)}'
    text = '\r\n'.join((*lines, length, '', body))
    self.wfile.write(text.encode())
    return True

  def _play(self):
    films = self.server.films
    film = films.pop(0) if len(films) > 1 else films[0]
    if film is None:
      self.server.ending.wait(30)
      return
    size = 7 * _PACKET
    for number, start in enumerate(range(0, len(film), size)):
      stamp = int(time.monotonic() * 90_000) % 2**32
      head = struct.pack('>BBHII', 0x80, 33, number % 2**16, stamp, 1)
      data = head + film[start : start + size]
      self.wfile.write(struct.pack('>cBH', b'$', 0, len(data)) + data)
      self.server.ending.wait(self.server.pause)
