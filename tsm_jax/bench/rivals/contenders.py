"""Ways to run the network of a stream, each timed in a process of its own.

A contender takes one frame after the other, uint8 of the stored size, and
answers with probabilities on the host. It has its threads to itself: JAX,
PyTorch and the runtimes of exports would each start as many as there are cores.
"""

import re
import time
from typing import Any, NamedTuple

import numpy as np

WARM_UP = 0.1  # seconds
PYTORCH = {
  'PyTorch, eager': {},
  'PyTorch, channels-last': {'channels_last': True},
  'PyTorch, compiled': {'compiled': True},
  'PyTorch, compiled, frozen': {'compiled': True, 'frozen': True},
  'PyTorch, compiled, frozen, channels-last': {
    'channels_last': True,
    'compiled': True,
    'frozen': True,
  },
}


class Contender(NamedTuple):
  """What a process runs; it travels there.

  Attributes:
    title: 'JAX', a key of `PYTORCH`, or the name of an export.
    config: a whole configuration of direction 'past'.
    folder: of an export, or ''.
  """

  title: str
  config: Any
  folder: str = ''


def prepare(threads, contender):
  """Opens a contender in this process and shows it one frame.

  Args:
    threads: that may compute at a time, see `processes.limit`.
    contender: a `Contender`.

  Returns:
    A dict from the names of what computes to their versions.

  Raises:
    ImportError: if a package is not installed.
    InputError: if the model is not one for streams, or an export cannot be
      opened.
  """
  step, versions = create(contender, threads)
  shape = frame_shape(contender.config.data.image_size)
  rng = np.random.default_rng(0)
  frames = [rng.integers(0, 256, shape, np.uint8) for _ in range(4)]
  step(frames[0])
  _opened[contender.title] = step, frames
  return versions


def turn(title, count):
  """Shows a contender of this process frames, after some to warm up.

  It has slept. Its threads may wake on the same core, where they stay for some
  frames, and so may those of the contender before, which look for work a while.

  Args:
    title: of the contender.
    count: of frames that are timed.

  Returns:
    Milliseconds of each, `[count, 2]`: time, and processor time of all threads.
  """
  step, frames = _opened[title]
  awake = time.perf_counter() + WARM_UP
  step(frames[-1])
  while time.perf_counter() < awake:
    step(frames[-1])
  times = np.zeros((count, 2))
  for i in range(count):
    before = time.perf_counter(), time.process_time()
    step(frames[i % len(frames)])
    times[i] = time.perf_counter(), time.process_time()
    times[i] -= before
  return 1e3 * times


def create(contender, threads):
  """The step of a contender.

  Returns:
    `(step, versions)`: a function from a frame to probabilities, float32
    `[K]`, and a dict of versions by name.

  Raises:
    ImportError, InputError: as `prepare`.
  """
  if contender.folder:
    return _export(contender, threads)
  if contender.title in PYTORCH:
    return _pytorch(contender, threads)
  return _jax(contender)


def frame_shape(image_size):
  """Of a frame as it is stored, see `cropping.full_size`."""
  from tsm_jax.data.input import cropping

  side = cropping.full_size(image_size)
  return side, side, 3


def _jax(contender):
  import jax

  from tsm_jax.bench import random_weights
  from tsm_jax.stream import session

  trained = random_weights.trained(contender.config)
  return _followed(session.Session(trained)), {'jax': jax.__version__}


def _export(contender, threads):
  from tsm_jax.export import card, runtimes
  from tsm_jax.stream import session

  # XLA's threads are those of the process.
  if card.read(contender.folder).format == 'stablehlo':
    threads = None
  runtime = runtimes.open(contender.folder, threads=threads)
  # Without the rule of its card, as none of the others decides anything.
  return _followed(session.Session(runtime, make_batch=runtimes.Batch)), {}


def _followed(session):
  session.add('camera')
  session.compile()

  def step(frame):
    (answer,) = session.step({'camera': frame}, {'camera': 0.0}).values()
    return answer.probabilities

  return step


def _pytorch(contender, threads):
  import torch

  from tsm_jax.bench import random_weights
  from tsm_jax.bench.rivals import torch_networks

  torch.set_num_threads(threads)
  trained = random_weights.trained(contender.config)
  network = torch_networks.create(trained.config, trained.variables)
  how = trained.preprocessing
  module = torch_networks.Step(network, how.image_size, how.mean, how.std)
  ways = PYTORCH[contender.title]
  format = torch.contiguous_format
  if ways.get('channels_last'):
    format = torch.channels_last
  module = module.to(memory_format=format)
  if ways.get('compiled'):
    module = torch.compile(module, options={'freezing': 'frozen' in ways})
  caches = [
    torch.zeros(shape).to(memory_format=format) for shape in _caches(trained)
  ]

  def step(frame):
    nonlocal caches
    with torch.no_grad():
      answer, caches = module(torch.from_numpy(frame), caches)
    return answer[0].numpy()

  return step, {'torch': torch.__version__}


def _caches(trained):
  """The shapes of the caches `[1, C, H, W]`, in the order of the network."""
  import jax

  from tsm_jax.stream import cache

  found = cache.init_cache(
    trained.module(), 1, trained.preprocessing.image_size
  )
  leaves = {
    jax.tree_util.keystr(path): (1, leaf.shape[3], *leaf.shape[1:3])
    for path, leaf in jax.tree.leaves_with_path(found)
  }

  def numbers(name):
    return [int(number) for number in re.findall(r'\d+', name)]

  return [leaves[name] for name in sorted(leaves, key=numbers)]


_opened = {}  # the contenders of this process by title: step, frames
