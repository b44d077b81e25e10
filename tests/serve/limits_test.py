"""Bad messages end their own connection, with a reason, and no other one."""

import math
import struct

import numpy as np
import pytest
from websockets import exceptions, frames

from support import colours, helpers, serving
from tsm_jax.serve import limits, pictures

RED = serving.encode(colours.frame('red'))
NOISE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
JPEG = serving.encode(NOISE)


def sized(width, height):
  """A JPEG whose header says that it has another size."""
  start = JPEG.index(b'\xff\xc0') + 5
  size = height.to_bytes(2, 'big') + width.to_bytes(2, 'big')
  return JPEG[:start] + size + JPEG[start + 4 :]


def segment(marker, content):
  return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2) + content


def with_segments(*segments):
  """A JPEG with more segments at its beginning."""
  return JPEG[:2] + b''.join(segments) + JPEG[2:]


# A scan of one component without any data, which stands for zeros.
SCAN = segment(0xDA, bytes((1, 1, 0, 0, 63, 0)))
MANY_SCANS = JPEG[: JPEG.index(b'\xff\xda')] + 2000 * SCAN + b'\xff\xd9'
BAD = {
  'half a frame': (serving.message(0, JPEG[: len(JPEG) // 2]), 1007, 'a part'),
  'header only': (serving.message(0, JPEG[:200]), 1007, 'no JPEG'),
  'no picture': (serving.message(0, b''), 1007, '8 bytes of its time'),
  'short': (b'abc', 1007, '8 bytes of its time'),
  'empty': (b'', 1007, '8 bytes of its time'),
  'noise': (serving.message(0, bytes(range(256)) * 9), 1007, 'no JPEG'),
  'PNG': (
    serving.message(0, serving.encode(NOISE, format='PNG', quality=None)),
    *(1007, 'no JPEG'),
  ),
  'progressive': (
    serving.message(0, serving.encode(NOISE, progressive=True)),
    *(1007, 'baseline'),
  ),
  'scans': (serving.message(0, MANY_SCANS), 1007, 'has 2000 scans'),
  'segments': (
    serving.message(0, with_segments(*[segment(0xFE, b'')] * 100)),
    *(1007, 'no JPEG'),
  ),
  'padding': (
    serving.message(0, with_segments(b'\xff' * 1000)),
    *(1007, 'no JPEG'),
  ),
  'tables': (
    serving.message(0, with_segments(segment(0xDB, bytes(65 * 200)))),
    *(1007, 'tables have'),
  ),
  'many pixels': (serving.message(0, sized(65000, 65000)), 1009, '65000x65000'),
  'a line': (serving.message(0, sized(2048, 8)), 1009, '2048x8'),
  'a dot': (serving.message(0, sized(1, 1)), 1009, '1x1'),
  'large': (serving.message(0, bytes(2**20)), 1009, 'may have 1048576 bytes'),
  'nan': (serving.message(math.nan, RED), 1007, 'nan'),
  'infinity': (serving.message(-math.inf, RED), 1007, '-inf'),
  'never': (serving.message(1e300, RED), 1007, '1e+300'),
  'no JSON': ('{', 1007, 'JSON'),
  'a list': ('[1]', 1007, 'JSON'),
  'deep': ('[' * 999, 1007, 'JSON'),
  'unknown': ('{"do": "dance"}', 1007, 'restart'),
  'wrong type': ('{"do": ["end"]}', 1007, 'restart'),
  'long text': ('x' * 1001, 1009, '1000 characters'),
}


@pytest.mark.parametrize('name', BAD)
def test_a_bad_message_ends_its_own_connection(running, name):
  content, code, reason = BAD[name]
  before = running.number('closed_total', code=str(code)) or 0
  with (
    serving.Client(running.address) as well,
    serving.Client(running.address) as bad,
  ):
    assert well.ask(0, RED)['label'] == 'red'
    assert bad.ask(0, RED)['label'] == 'red'
    if isinstance(content, bytes) and content[:8] == bytes(8):
      bad.say(do='restart')  # so that the time 0 is due
      bad.hear()
    bad.socket.send(content)
    found = bad.closed()
    assert found[0] == code
    assert reason in found[1]
    assert well.ask(0.25, RED)['label'] == 'red'
  assert running.number('closed_total', code=str(code)) == before + 1


def test_a_message_beyond_all_limits_ends_its_own_connection(running):
  with (
    serving.Client(running.address) as well,
    serving.Client(running.address) as bad,
  ):
    try:
      bad.socket.send(bytes(2**21 + 1))
      code = (bad.closed() or (1006,))[0]
    except (OSError, exceptions.ConnectionClosed):  # before it was whole
      code = 1006
    assert code in (1006, 1009)
    assert well.ask(0, RED)['label'] == 'red'


def test_the_first_message_is_a_text(running):
  with serving.Client(running.address, token=None) as bad:
    bad.show(0, RED)
    assert bad.closed() == (
      1003,
      'The first message is text, with the token.',
    )


def test_silence_ends_a_connection(running, monkeypatch):
  monkeypatch.setattr(limits, 'IDLE_SECONDS', 0.1)
  with serving.Client(running.address) as client:
    assert client.closed() == (1008, 'No message came for 0.1 seconds.')
  monkeypatch.setattr(limits, 'HELLO_SECONDS', 0.1)
  with serving.Client(running.address, token=None) as client:
    assert client.closed() == (1008, 'No message came for 0.1 seconds.')


def test_too_many_messages_end_a_connection(running, monkeypatch):
  monkeypatch.setattr(limits, 'RATE', 5)
  with serving.Client(running.address) as client:
    for _ in range(7):
      client.show(0, RED)
    assert client.closed() == (1008, 'More than 5 messages came in a second.')


@pytest.mark.parametrize('opcode', ['PING', 'CONT'])
def test_too_many_parts_end_a_connection(running, opcode):
  part = frames.Frame(frames.Opcode[opcode], b'', fin=opcode == 'PING')
  bad_parts = part.serialize(mask=True) * (2 * limits.PARTS)
  with (
    serving.Client(running.address) as well,
    serving.Client(running.address) as bad,
  ):
    if opcode == 'CONT':
      begin = frames.Frame(frames.Opcode.BINARY, b'', fin=False)
      bad_parts = begin.serialize(mask=True) + bad_parts
    bad.socket.socket.sendall(bad_parts)
    assert bad.closed() == (
      1008,
      'More than 600 pings and parts of messages came in a second.',
    )
    assert well.ask(0, RED)['label'] == 'red'


def test_rate_is_that_of_the_last_seconds():
  now = 0.0
  rate = limits.Rate(limits.RATE, now=lambda: now)
  for _ in range(10 * limits.RATE):
    now += 1 / limits.RATE
    rate.count()
  for _ in range(limits.RATE - 1):
    rate.count()
  with pytest.raises(limits.Closing, match='More than 60 messages'):
    rate.count()
    rate.count()


def test_reasons_fit_into_their_frame():
  assert len(limits.Closing(1000, 'ä' * 100).reason) == 61


def test_what_says_nothing_of_pixels_is_not_read():
  # Exif whose entries all point to the same bytes, which a reader copies.
  entries = b''.join(
    struct.pack('<HHLL', number, 7, 2**15, 8) for number in range(5000)
  )
  exif = b'Exif\0\0II*\0' + struct.pack('<LH', 8, 5000) + entries + bytes(4)
  told = with_segments(segment(0xE1, exif), segment(0xFE, b'a comment'))
  _, jpeg = pictures.split(serving.message(0, told))
  assert jpeg == JPEG


def test_pictures_are_decoded_as_they_are():
  seconds, jpeg = pictures.split(serving.message(1.5, JPEG))
  assert (seconds, jpeg) == (1.5, JPEG)
  (smooth,) = helpers.draw(1, (48, 64))
  found = pictures.decode(serving.encode(smooth)).astype(int)
  assert abs(found - smooth).mean() < 2
  grey = pictures.decode(serving.encode(smooth[..., 0]))
  assert grey.shape == (48, 64, 3)
