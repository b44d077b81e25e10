"""The WebSocket of a viewer, from the first message to the last.

The first message is `{"token": ...}`; the answer says what the model is. Then
the viewer sends pictures, see `pictures`, and `{"do": "restart"}` for another
stream or `{"do": "end"}`; every picture that was shown is answered.
"""

import asyncio
import contextlib
import json

from starlette import websockets

from tsm_jax.serve import limits, pictures


class Live:
  """Talks to viewers, each by its own WebSocket."""

  def __init__(self, slots, gate, metrics, hello):
    """Knows no viewer yet.

    Args:
      slots: a `slots.Slots`.
      gate: a `gate.Gate`.
      metrics: a `metrics.Metrics`.
      hello: a dict for JSON, told to every viewer first.
    """
    self._slots, self._gate, self._metrics = slots, gate, metrics
    self._hello = json.dumps(hello)

  async def follow(self, websocket):
    """The endpoint of a WebSocket: talks to one viewer."""
    if not self._gate.knows_origin(websocket.headers):
      await websocket.close()  # before it is accepted: HTTP's status 403
      return
    try:
      await websocket.accept()
      await self._welcome(websocket)
    except limits.Closing as closing:
      self._metrics.closed.labels(closing.code).inc()
      await _close(websocket, closing)
    except websockets.WebSocketDisconnect:
      pass  # it left

  async def _welcome(self, websocket):
    text = await _receive(websocket, limits.HELLO_SECONDS)
    if not self._gate.knows_token(_parsed(text).get('token', '')):
      raise limits.Closing(
        limits.POLICY,
        'The token is wrong: open the address that the server printed.',
      )
    loop, answers = asyncio.get_running_loop(), asyncio.Queue()

    def tell(message):
      with contextlib.suppress(RuntimeError):  # the server has ended
        loop.call_soon_threadsafe(answers.put_nowait, message)

    if (viewer := self._slots.enter(tell)) is None:
      raise limits.Closing(
        limits.TRY_LATER,
        f'All {self._slots.session.slots} places are taken; try again when '
        'somebody has left.',
      )
    try:
      await _send(websocket, self._hello)
      await self._talk(websocket, viewer, answers)
    finally:
      self._slots.leave(viewer)

  async def _talk(self, websocket, viewer, answers):
    """Hears and answers a viewer, until one of both has an end."""
    tasks = [
      asyncio.create_task(self._hear(websocket, viewer)),
      asyncio.create_task(self._answer(websocket, viewer, answers)),
    ]
    try:
      done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
      for task in tasks:
        task.cancel()
      await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
      task.result()

  async def _hear(self, websocket, viewer):
    rate = limits.Rate(limits.RATE)
    while True:
      message = await _receive(websocket, limits.IDLE_SECONDS)
      rate.count()
      if isinstance(message, bytes):
        seconds, jpeg = pictures.split(message)
        self._slots.show(viewer, jpeg, seconds)
        continue
      what = _parsed(message).get('do')
      if what == 'restart':
        self._slots.restart(viewer)
      elif what == 'end':
        self._slots.end(viewer)
      else:
        raise limits.Closing(
          limits.MALFORMED,
          'A message is a picture, or {"do": "restart"|"end"}.',
        )

  async def _answer(self, websocket, viewer, answers):
    while (message := await answers.get()) is not None:
      if isinstance(message, limits.Closing):
        raise message
      await _send(websocket, json.dumps(message))
      self._slots.sent(viewer)
    raise limits.Closing(limits.NORMAL, '')


async def _receive(websocket, seconds):
  """The next message, text or bytes; `Closing` if there is none for so long."""
  try:
    async with asyncio.timeout(seconds):
      message = await websocket.receive()
  except TimeoutError:
    raise limits.Closing(
      limits.POLICY, f'No message came for {seconds:g} seconds.'
    ) from None
  if message['type'] == 'websocket.disconnect':
    raise websockets.WebSocketDisconnect(message.get('code', 1006))
  if message.get('bytes') is not None:
    return message['bytes']
  return message['text']


async def _send(websocket, text):
  try:
    async with asyncio.timeout(limits.SEND_SECONDS):
      await websocket.send_text(text)
  except TimeoutError:
    raise limits.Closing(limits.POLICY, 'The answers are not read.') from None


async def _close(websocket, closing):
  """Ends the connection with a reason, if that can still be sent."""
  try:
    async with asyncio.timeout(limits.SEND_SECONDS):
      await websocket.close(closing.code, closing.reason)
  except (TimeoutError, RuntimeError, websockets.WebSocketDisconnect):
    pass  # it is gone already


def _parsed(text):
  """The dict of a message of text; `Closing` if it is none."""
  if isinstance(text, bytes):
    raise limits.Closing(
      limits.WRONG_TYPE, 'The first message is text, with the token.'
    )
  if len(text) > limits.MAX_TEXT:
    raise limits.Closing(
      limits.TOO_LARGE, f'A text may have {limits.MAX_TEXT} characters.'
    )
  try:
    content = json.loads(text)
  except (ValueError, RecursionError):
    content = None
  if not isinstance(content, dict):
    raise limits.Closing(limits.MALFORMED, 'A text is one object of JSON.')
  return content
