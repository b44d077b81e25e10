"""The ways to make training clips that `bench input` compares."""

import os
import statistics
import types

import jax
import numpy as np

from tsm_jax import errors, modalities
from tsm_jax.data import defaults, sampling
from tsm_jax.data.clips import codec, pixels, videos
from tsm_jax.data.input import cropping, pipeline, preprocess

PREPROCESSING = preprocess.Preprocessing(
  8,
  224,
  **modalities.normalization('resnet', 'rgb')._asdict(),
  **defaults.USUAL.as_dict(),
)
SCALES = modalities.MODALITIES['rgb'].scales
BATCH = 8  # clips
LENGTH = 1 << 20  # clips of an epoch; short epochs cost more shuffling


class Cycle:
  """A short source of records, repeated until it is long."""

  def __init__(self, source):
    self._source = source

  def __len__(self):
    return LENGTH

  def __getitem__(self, number):
    return self._source[number % len(self._source)]


def draw(root, count):
  """Writes H.264 videos of moving textures, 100 frames of 320x240 each."""
  for number in range(count):
    rng = np.random.default_rng(number)
    path = root / 'train' / 'drawn' / f'{number}.mp4'
    path.parent.mkdir(parents=True, exist_ok=True)
    layers = [
      pixels.resize(rng.integers(0, 256, (40, 50, 3), np.uint8), 900, 720)
      for _ in range(2)
    ]
    frames = []
    for t in range(100):
      back = layers[0][2 * t : 2 * t + 240, 3 * t : 3 * t + 320]
      frame = back + rng.integers(-2, 3, (240, 320, 1))
      top, left = 20 + t, 250 - 2 * t
      frame[top : top + 80, left : left + 70] = layers[1][
        3 * t : 3 * t + 80, t : t + 70
      ]
      frames.append(frame.clip(0, 255).astype(np.uint8))
    videos.write(path, frames, 25, options={'crf': '18'})
  return root


def train_clips(source, threads):
  """Training batches of a source, made as in training."""
  data = types.SimpleNamespace(
    scales=SCALES,
    num_threads=threads,
    balance='off',
    randaugment_ops=0,
    randaugment_magnitude=0.0,
    resize='fast',
  )
  config = types.SimpleNamespace(batch_size=BATCH, seed=0, data=data)
  return pipeline.train_batches(Cycle(source), config, PREPROCESSING, 0, (0, 1))


def our_rows(sources, threads):
  """`{name: function of a number of clips}` for our input and its stages."""
  rows = {}
  for kind, source in sources.items():
    rng = np.random.default_rng(0)
    stored = list(source)
    batches = train_clips(source, threads)
    frames = [codec.decode(r, _indices(r, rng)) for r in stored]
    rows |= {
      f'{kind}': lambda n, batches=batches: [
        next(batches) for _ in range(n // BATCH)
      ],
      f'{kind} read': lambda n, source=source: [
        source[i % len(source)] for i in range(n)
      ],
      f'{kind} decode': lambda n, stored=stored, rng=rng: [
        codec.decode(r, _indices(r, rng)) for r in _cycle(stored, n)
      ],
      f'{kind} crop': lambda n, frames=frames, rng=rng: [
        cropping.train_frames(f, rng, PREPROCESSING.image_size, SCALES, 'fast')
        for f in _cycle(frames, n)
      ],
    }
  batch = next(train_clips(sources['frames'], threads))['frames']
  normalize = jax.jit(
    lambda x: cropping.normalize(x, PREPROCESSING.mean, PREPROCESSING.std)
  )
  rows['normalise'] = lambda n: [
    normalize(batch).block_until_ready() for _ in range(n // BATCH)
  ]
  return rows


def their_rows(sources, paths):
  """`{name: function of a number of clips}` for the official input.

  Raises:
    InputError: if PyTorch is not installed.
  """
  try:
    from tsm_jax.bench.inputs import official
  except ImportError as error:
    raise errors.InputError(
      f"The official input needs PyTorch ({error}); install 'tsm_jax[torch]'."
    ) from None
  rng = np.random.default_rng(0)
  stored = list(sources['frames'])
  batches = official.loader(
    [os.fspath(p) for p in paths],
    LENGTH,
    PREPROCESSING,
    SCALES,
    batch_size=BATCH,
  )

  def decode(record):
    jpegs = record['frames']
    return official.decode([jpegs[i] for i in _indices(record, rng)])

  return {
    'pytorch': lambda n: [next(batches) for _ in range(n // BATCH)],
    'pil decode': lambda n: [decode(r) for r in _cycle(stored, n)],
    'pil decode crop': lambda n: [
      official.crop(decode(r), rng, PREPROCESSING.image_size, SCALES)
      for r in _cycle(stored, n)
    ],
  }


def _indices(record, rng):
  return sampling.random_indices(
    rng, len(record['frames']), PREPROCESSING.num_frames
  )


def _cycle(items, count):
  return (items[i % len(items)] for i in range(count))


def kilobytes(sources, paths):
  """Kilobytes of a clip by storage, and of its file (`pytorch`)."""
  sizes = {
    kind: statistics.mean(sum(map(len, r['frames'])) for r in source) / 1e3
    for kind, source in sources.items()
  }
  found = statistics.mean(path.stat().st_size for path in paths) / 1e3
  return sizes | {'pytorch': found}
