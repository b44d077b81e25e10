"""Who may talk to the server: by host, origin and token; and HTTP's headers."""

import hmac
import ipaddress
import urllib.parse

from starlette import datastructures, responses

HEADERS = {
  # Nothing but the page's own files, and no page around it.
  'Content-Security-Policy': "default-src 'none'; script-src 'self'; "
  "style-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
  "connect-src 'self'; base-uri 'none'; form-action 'none'; "
  "frame-ancestors 'none'",
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Permissions-Policy': 'camera=(self), microphone=(), geolocation=()',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-store',
}


class Gate:
  """Lets in what comes by a known address, from the server's own page.

  A name that somebody's domain server says is this machine (DNS rebinding) is
  not a known address. An address of digits cannot be such a name.
  """

  def __init__(self, names=(), proxies=(), token=''):
    """Knows `localhost`, addresses of digits, and what it is given.

    Args:
      names: of this machine.
      proxies: names of others, by which browsers reach the server.
      token: what viewers have to know, or '' for nothing.
    """
    self._proxies = {name.lower() for name in proxies}
    self._names = {'localhost', *map(str.lower, names), *self._proxies}
    self._token = token

  def knows_host(self, headers):
    """Whether a request is for this server."""
    name = _name(headers.get('host', ''))
    return name in self._names or _is_digits(name)

  def knows_origin(self, headers):
    """Whether a request comes from the server's own page."""
    origin = headers.get('origin', '').lower()
    scheme, _, host = origin.partition('://')
    if scheme not in ('http', 'https'):
      return False
    # A proxy may have changed the host, but not the origin.
    own = host == headers.get('host', '').lower()
    return own or _name(host) in self._proxies

  def knows_token(self, token):
    """Whether a token is right, in a time that does not depend on it."""
    if not self._token:
      return True
    given = token if isinstance(token, str) else ''
    return hmac.compare_digest(_as_bytes(given), _as_bytes(self._token))

  def knows_bearer(self, headers):
    """Whether a request shows the token, if there is one."""
    scheme, _, token = headers.get('authorization', '').partition(' ')
    return self.knows_token(token if scheme.lower() == 'bearer' else '')

  def middleware(self, app):
    """An ASGI application behind the gate."""

    async def guarded(scope, receive, send):
      if scope['type'] not in ('http', 'websocket'):
        await app(scope, receive, send)
        return

      async def with_headers(message):
        if message['type'].endswith('response.start'):
          datastructures.MutableHeaders(scope=message).update(HEADERS)
        await send(message)

      if self.knows_host(datastructures.Headers(scope=scope)):
        await app(scope, receive, with_headers)
      elif scope['type'] == 'http':
        refusal = responses.PlainTextResponse(
          'This server does not go by that name; see --allow_host.\n', 421
        )
        await refusal(scope, receive, with_headers)
      else:
        await send({'type': 'websocket.close'})

    return guarded


def _name(host):
  """The host without its port, '' if it is none.

  >>> _name('localhost:8008'), _name('[::1]:8008')
  ('localhost', '::1')
  """
  try:
    return urllib.parse.urlsplit(f'//{host}').hostname or ''
  except ValueError:
    return ''


def _as_bytes(text):
  return text.encode(errors='surrogatepass')


def _is_digits(name):
  try:
    ipaddress.ip_address(name)
  except ValueError:
    return False
  return True
