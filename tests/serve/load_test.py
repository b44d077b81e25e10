"""Fifty viewers for a minute leave nothing behind."""

import asyncio
import contextlib
import json
import os
import random
import subprocess
import time
import urllib.request

from prometheus_client import parser
import pytest
import websockets

from support import colours, commands, serving

pytestmark = pytest.mark.slow

CLIENTS = 50
SECONDS = float(os.environ.get('TSM_JAX_LOAD_SECONDS', 60))
INTERVAL = 0.25
MAX_GROWTH = 8e6  # bytes, of some 400 MB: what the allocator cannot give back
RED = serving.encode(colours.frame('red'))
BLUE = serving.encode(colours.frame('blue'))


@pytest.fixture
def address(workdir):
  """The address of a server in a process of its own."""
  command = commands.command(
    'serve', workdir, '--port=0', f'--slots={CLIENTS}', '--rule=default'
  )
  with subprocess.Popen(
    command, env=commands.environment(), stdout=subprocess.PIPE, text=True
  ) as process:
    try:
      yield process.stdout.readline().split()[0].rstrip('/')
    finally:
      process.terminate()


def measure(address):
  """What the server says of itself: numbers by name and labels."""
  with urllib.request.urlopen(f'{address}/metrics') as response:
    text = response.read().decode()
  return {
    (sample.name, *sample.labels.values()): sample.value
    for family in parser.text_string_to_metric_families(text)
    for sample in family.samples
  }


async def watch(address, end, rng, counts):
  """Viewers, one after the other: they stay, go, vanish or misbehave."""
  while time.monotonic() < end:
    with contextlib.suppress(websockets.ConnectionClosed, ConnectionError):
      async with websockets.connect(
        address.replace('http', 'ws') + '/live',
        origin=address,
        compression=None,
        proxy=None,
      ) as socket:
        await socket.send('{}')
        assert 'labels' in json.loads(await socket.recv())
        counts['viewers'] += 1
        until = min(end, time.monotonic() + rng.uniform(2, 20))
        reader = asyncio.create_task(read(socket, counts))
        try:
          await show(socket, until, rng)
        finally:
          reader.cancel()
        await leave(socket, rng)


async def show(socket, until, rng):
  start = time.monotonic()
  while (now := time.monotonic()) < until:
    jpeg = RED if rng.random() < 0.5 else BLUE
    await socket.send(serving.message(now - start, jpeg))
    await asyncio.sleep(INTERVAL)


async def read(socket, counts):
  async for _ in socket:
    counts['answers'] += 1


async def leave(socket, rng):
  match rng.randrange(4):
    case 0:
      await socket.send('{"do": "end"}')
      await socket.wait_closed()
    case 1:
      socket.transport.abort()
    case 2:
      await socket.send(serving.message(1e6, RED[: len(RED) // 2]))
      await socket.wait_closed()


async def crowd(address, seconds):
  """Fifty viewers at a time; the numbers of viewers and answers."""
  counts = {'viewers': 0, 'answers': 0}
  end = time.monotonic() + seconds
  await asyncio.gather(
    *(
      watch(address, end, random.Random(seed), counts)
      for seed in range(CLIENTS)
    )
  )
  return counts


def settled(address):
  """What the server says when all have left."""
  end = time.monotonic() + serving.WAIT
  while True:
    found = measure(address)
    if not found[('tsm_jax_viewers',)] or time.monotonic() > end:
      time.sleep(1)
      return measure(address)
    time.sleep(0.1)


@pytest.mark.filterwarnings('ignore::ResourceWarning')  # of who vanishes
def test_fifty_viewers_leave_nothing_behind(address, capsys):
  asyncio.run(crowd(address, 5))  # so that all is allocated once
  before = settled(address)
  counts = asyncio.run(crowd(address, SECONDS))
  after = settled(address)
  names = {
    'viewers': 'tsm_jax_viewers',
    'file handles': 'process_open_fds',
    'memory': 'process_resident_memory_bytes',
  }
  with capsys.disabled():
    print(f'\n{CLIENTS} clients, {SECONDS:g} s: {counts}')
    for label, name in names.items():
      print(f'{label}: {before[(name,)]:.0f} -> {after[(name,)]:.0f}')
    for what in ('shown', 'dropped'):
      print(what, after.get(('tsm_jax_steps_total', what)))
  assert counts['answers'] > CLIENTS * SECONDS / 2
  for label in ('viewers', 'file handles'):
    assert before[(names[label],)] == after[(names[label],)]
  assert after[('tsm_jax_viewers',)] == 0
  memory = (names['memory'],)
  assert after[memory] - before[memory] < MAX_GROWTH
