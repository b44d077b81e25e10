"""Who is let in, and what can be fetched."""

import http.client
import socket

import pytest
import websockets

from support import colours, serving
from tsm_jax.serve import app, gate, limits, server

RED = serving.encode(colours.frame('red'))
TOKEN = 'a-secret'


@pytest.fixture(scope='module')
def guarded(make_session):
  """A server with a token, known as live.example, too."""
  session = make_session(3)
  with serving.running(
    session, proxies=['live.example'], token=TOKEN
  ) as running:
    yield running
  for name in session.streams:
    session.remove(name)


def get(running, path, method='GET', **headers):
  """`(status, headers, body)` of a path, as it is."""
  connection = http.client.HTTPConnection(running.address, timeout=serving.WAIT)
  try:
    connection.putrequest(method, path, skip_host='Host' in headers)
    for name, value in headers.items():
      connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    return response.status, response.headers, response.read()
  finally:
    connection.close()


def test_the_page_is_served_with_all_its_files(running):
  status, headers, body = get(running, '/')
  assert (status, headers['Content-Type']) == (200, 'text/html; charset=utf-8')
  assert b'<title>' in body
  for name in app.FILES[1:]:
    status, headers, body = get(running, f'/{name}')
    assert (status, body) == (200, (app.PAGE / name).read_bytes())
    kind = 'css' if name.endswith('css') else 'javascript'
    assert headers['Content-Type'] == f'text/{kind}; charset=utf-8'


def test_what_the_files_load_is_among_them(running):
  imported = set()
  for name in app.FILES:
    text = (app.PAGE / name).read_text()
    imported |= {
      word.strip('\'";').removeprefix('./')
      for line in text.splitlines()
      if ' from ' in line and line.startswith(('import', '}'))
      for word in line.split()[-1:]
    }
  assert imported and imported <= set(app.FILES)


@pytest.mark.parametrize(
  'path',
  [
    '/../app.py',
    '/%2e%2e/app.py',
    '/..%2fapp.py',
    '/page/../../app.py',
    '/%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fetc%2fpasswd',
    '/....//....//etc/passwd',
    '/..\\app.py',
    '//etc/passwd',
    '/etc/passwd',
    '/index.html%00.css',
    '/style.css/',
    '/style.css%2f..%2f..%2fapp.py',
    '/.git/config',
    'http://127.0.0.1/../app.py',
    'file:///etc/passwd',
    '/page/',
    '/__init__.py',
  ],
)
def test_no_other_file_can_be_fetched(running, path):
  status, _, body = get(running, path)
  assert (status, body) == (404, b'Not Found')


def test_nothing_can_be_written(running):
  for method in ('POST', 'PUT', 'DELETE', 'OPTIONS'):
    assert get(running, '/', method)[0] == 405


def test_headers_keep_the_browser_safe(running):
  for path in ('/', '/style.css', '/nothing', '/healthz', '/metrics'):
    _, headers, _ = get(running, path)
    assert "default-src 'none'" in headers['Content-Security-Policy']
    assert "frame-ancestors 'none'" in headers['Content-Security-Policy']
    assert headers['X-Content-Type-Options'] == 'nosniff'
    assert headers['Referrer-Policy'] == 'no-referrer'
    assert headers['Permissions-Policy'].startswith('camera=(self)')
    assert 'Server' not in headers


def test_health(running):
  assert get(running, '/healthz')[::2] == (200, b'ok\n')
  running.viewers.error = ValueError()
  assert get(running, '/healthz')[0] == 503
  running.viewers.error = None


def test_only_known_hosts_are_answered(guarded):
  for host in ('evil.example', 'localhost.evil.example', '', '127.0.0.1.x.y'):
    status, headers, _ = get(guarded, '/', Host=host)
    assert status == 421
    assert headers['X-Content-Type-Options'] == 'nosniff'
  for host in ('localhost:9000', '[::1]', '10.1.2.3:80', 'Live.Example'):
    assert get(guarded, '/', Host=host)[0] == 200


@pytest.mark.parametrize(
  'origin',
  [
    'http://evil.example',
    'http://localhost:1',
    'null',
    'file://',
    'http://{address}.evil.example',
    'chrome-extension://{address}',
    'ws://{address}',
  ],
)
def test_pages_of_others_are_refused(guarded, origin):
  origin = origin.format(address=guarded.address)
  with (
    pytest.raises(websockets.InvalidStatus, match='403'),
    serving.Client(guarded.address, TOKEN, origin),
  ):
    pass


@pytest.mark.parametrize('origin', ['https://live.example', 'http://{address}'])
def test_own_pages_are_let_in(guarded, origin):
  origin = origin.format(address=guarded.address)
  with serving.Client(guarded.address, TOKEN, origin) as client:
    assert client.ask(0, RED)['label'] == 'red'


@pytest.mark.parametrize('token', ['', 'a-secre', 'a-secret ', 'ä\ud800', 1])
def test_a_wrong_token_is_refused(guarded, token):
  with serving.Client(guarded.address, token=None) as client:
    client.say(token=token)
    assert client.closed() == (
      1008,
      'The token is wrong: open the address that the server printed.',
    )
  assert guarded.number('viewers') == 0


def test_metrics_need_the_token(guarded):
  for value in ('', 'Bearer', 'Bearer x', f'Basic {TOKEN}', TOKEN):
    status, headers, body = get(guarded, '/metrics', Authorization=value)
    assert (status, headers['WWW-Authenticate']) == (401, 'Bearer')
    assert b'tsm_jax' not in body
  status, headers, body = get(
    guarded, '/metrics', Authorization=f'Bearer {TOKEN}'
  )
  assert status == 200
  assert headers['Content-Type'].startswith('text/plain; version=')
  for name in ('tsm_jax_slots 3.0', 'tsm_jax_viewers 0.0', 'process_open_fds'):
    assert f'\n{name}' in body.decode()


def test_any_token_can_be_compared():
  odd = gate.Gate(token='\udcff')  # bytes of a variable that are no text
  assert odd.knows_token('\udcff')
  assert not odd.knows_token('\udcfe')
  assert not odd.knows_token('?')


def test_without_a_token_any_is_right():
  assert gate.Gate().knows_token('anything')


def connect(address):
  host, port = address.split(':')
  return socket.create_connection((host, int(port)), timeout=serving.WAIT)


def is_cut_off(connection):
  try:
    return connection.recv(1) == b''
  except ConnectionResetError:
    return True


def test_a_request_that_does_not_end_is_cut_off(running, monkeypatch):
  monkeypatch.setattr(limits, 'HTTP_SECONDS', 0.1)
  with connect(running.address) as silent, connect(running.address) as slow:
    slow.sendall(b'GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ')
    assert is_cut_off(silent)
    assert is_cut_off(slow)


def test_connections_are_of_a_bounded_number(make_session, monkeypatch):
  monkeypatch.setattr(limits, 'MORE_CONNECTIONS', 0)
  with serving.running(make_session(1)) as running:
    with (
      serving.Client(running.address) as client,
      connect(running.address) as second,
    ):
      assert is_cut_off(second)
      assert client.ask(0, RED)['label'] == 'red'
    client.socket.close()
    assert get(running, '/healthz')[0] == 200


def test_a_taken_port_is_one_sentence():
  with server.listen('127.0.0.1', 0) as listener:
    port = listener.getsockname()[1]
    with pytest.raises(ValueError) as caught:
      server.listen('127.0.0.1', port)
  assert str(caught.value) == (
    f'Port {port} of 127.0.0.1 cannot be used: Address already in use; choose '
    'another one with --port, 0 for any that is free.'
  )


@pytest.mark.skipif(not hasattr(socket, 'TCP_USER_TIMEOUT'), reason='Linux')
def test_who_reads_nothing_is_given_up():
  with server.listen('127.0.0.1', 0) as listener:
    address = '{}:{}'.format(*listener.getsockname())
    with connect(address), listener.accept()[0] as accepted:
      limit = accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
  assert limit == 30_000  # milliseconds


def test_local_addresses_are_known():
  for host, local in (('127.0.0.1', True), ('localhost', True), ('::', False)):
    with server.listen(host, 0) as listener:
      assert server.is_local(listener) == local
