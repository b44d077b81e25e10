"""A page in a real browser that a test drives, by Chromium's own protocol."""

import base64
import contextlib
import json
import pathlib
import subprocess
import time

import websockets.sync.client

from support import browser

WAIT = 60  # seconds for an answer


@contextlib.contextmanager
def opened(folder, *options):
  """A browser with an empty page, which is closed at the end.

  Args:
    folder: for its profile.
    *options: of the browser, such as those of `camera`.

  Yields:
    A `Page`.
  """
  command = [
    browser.find(),
    *('--headless', '--no-sandbox', '--disable-gpu', '--no-first-run'),
    *('--disable-background-networking', '--disable-dev-shm-usage'),
    *('--remote-debugging-port=0', f'--user-data-dir={folder / "profile"}'),
    *options,
    'about:blank',
  ]
  log = folder / 'browser.log'
  with (
    log.open('w') as file,
    subprocess.Popen(command, stderr=file, stdout=file, cwd=folder) as process,
  ):
    try:
      with websockets.sync.client.connect(
        _address(log, process), max_size=None, ping_interval=None, proxy=None
      ) as socket:
        yield Page(socket)
        with contextlib.suppress(Exception):
          socket.send(json.dumps({'id': 0, 'method': 'Browser.close'}))
          process.wait(10)
    finally:
      process.kill()


def camera(clip=None):
  """Options for a camera that may be used without a question.

  Args:
    clip: a .y4m or .mjpeg file that it shows again and again; by default a
      pattern of the browser's.
  """
  found = [
    '--use-fake-ui-for-media-stream',
    '--use-fake-device-for-media-stream',
  ]
  if clip is not None:
    found.append(f'--use-file-for-fake-video-capture={clip}')
  return found


def _address(log, process):
  """The browser's address, which it prints when it is ready."""
  end = time.monotonic() + WAIT
  while time.monotonic() < end and process.poll() is None:
    for line in log.read_text().splitlines():
      if line.startswith('DevTools listening on '):
        return line.split()[-1]
    time.sleep(0.05)
  raise AssertionError(f'The browser does not start: {log.read_text()}')


class Page:
  """The page, and all that its scripts asked for and complained of.

  Attributes:
    requests: URLs that the page and its workers asked for.
    errors: what went wrong there, in words.
  """

  def __init__(self, socket):
    self.requests, self.errors = [], []
    self._socket, self._last = socket, 0
    targets = self.call('Target.getTargets')['targetInfos']
    target = next(t['targetId'] for t in targets if t['type'] == 'page')
    self._session = None
    self._session = self.call(
      'Target.attachToTarget', targetId=target, flatten=True
    )['sessionId']
    self._listen(self._session)
    self.call('Page.enable')

  def go(self, url):
    """Opens a page, and waits for it."""
    self.call('Page.navigate', url=str(url))
    self.wait('document.readyState == "complete"')

  def evaluate(self, expression):
    """The value of an expression; of a promise, what it brings."""
    found = self.call(
      'Runtime.evaluate',
      expression=expression,
      awaitPromise=True,
      returnByValue=True,
    )
    assert 'exceptionDetails' not in found, found['exceptionDetails']
    return found['result'].get('value')

  def wait(self, expression, seconds=WAIT):
    """Waits until an expression is true; its value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
      if value := self.evaluate(expression):
        return value
      time.sleep(0.05)
    text = self.evaluate('document.body.innerText')
    raise AssertionError(f'Never {expression}: {text!r}; {self.errors}')

  def choose_file(self, selector, path):
    """Chooses a file in an input of the page."""
    root = self.call('DOM.getDocument')['root']['nodeId']
    node = self.call('DOM.querySelector', nodeId=root, selector=selector)
    self.call('DOM.setFileInputFiles', nodeId=node['nodeId'], files=[str(path)])

  def resize(self, width, height):
    self.call(
      'Emulation.setDeviceMetricsOverride',
      **dict(width=width, height=height, deviceScaleFactor=1, mobile=False),
    )

  def screenshot(self, path):
    data = self.call('Page.captureScreenshot', format='png')['data']
    pathlib.Path(path).write_bytes(base64.b64decode(data))

  def call(self, method, session=None, **params):
    """The result of a method of the browser's protocol."""
    number = self._send(method, session or self._session_id(), params)
    while True:
      message = json.loads(self._socket.recv(timeout=WAIT))
      if message.get('id') == number:
        assert 'error' not in message, (method, message)
        return message['result']
      self._note(message)

  def _session_id(self):
    return getattr(self, '_session', None)

  def _send(self, method, session, params):
    self._last += 1
    message = {'id': self._last, 'method': method, 'params': params}
    if session:
      message['sessionId'] = session
    self._socket.send(json.dumps(message))
    return self._last

  def _listen(self, session):
    """Follows the page or a worker, and the workers that it starts."""
    for method in ('Network.enable', 'Runtime.enable', 'Log.enable'):
      self._send(method, session, {})
    follow = {'autoAttach': True, 'waitForDebuggerOnStart': True}
    self._send('Target.setAutoAttach', session, {**follow, 'flatten': True})
    self._send('Runtime.runIfWaitingForDebugger', session, {})

  def _note(self, message):
    params = message.get('params', {})
    match message.get('method'):
      case 'Target.attachedToTarget':
        if params['sessionId'] != self._session_id():
          self._listen(params['sessionId'])
      case 'Network.requestWillBeSent':
        self.requests.append(params['request']['url'])
      case 'Runtime.exceptionThrown':
        details = params['exceptionDetails']
        text = details.get('exception', {}).get('description', '')
        self.errors.append(f'{details["text"]} {text}')
      case 'Log.entryAdded':
        if params['entry']['level'] == 'error':
          self.errors.append(params['entry']['text'])
      case 'Runtime.consoleAPICalled':
        if params['type'] == 'error':
          self.errors.append(
            ' '.join(str(arg.get('value')) for arg in params['args'])
          )
