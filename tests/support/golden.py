"""The weights and inputs of `tests/golden/golden.json`, made by its rules."""

import json
import pathlib
import re

import numpy as np

PATH = pathlib.Path(__file__).parents[1] / 'golden' / 'golden.json'
KEYS = PATH.parent / 'keys'


def case(name):
  """The recorded case: sizes, and logits or outputs."""
  return json.loads(PATH.read_text())[name]


def frames(batch_size, num_frames, size, channels=3):
  """The recorded input as `[B, T, H, W, C]` float32."""
  shape = (batch_size, num_frames * channels, size, size)
  x = np.random.RandomState(7).randn(*shape).astype(np.float32)
  x = x.reshape((batch_size, num_frames, channels, size, size))
  return x.transpose((0, 1, 3, 4, 2))


def weights(shapes):
  """A weight for every key: `shapes` maps PyTorch's names to shapes."""
  keys = sorted(k for k in shapes if not k.endswith('num_batches_tracked'))
  return {k: _weight(i, k, shapes[k]) for i, k in enumerate(keys)}


def _weight(position, key, shape):
  r = np.random.RandomState(1000 + position).randn(*shape)
  if key.endswith('running_var'):
    r = 1 + 0.5 * abs(r)
  elif key.endswith(('running_mean', 'bias')):
    r = 0.1 * r
  elif len(shape) == 1:
    r = 1 + 0.1 * r
  elif len(shape) == 2:
    r = 0.5 * np.sqrt(2 / shape[1]) * r
  else:
    r = np.sqrt(2 / np.prod(shape[1:])) * r
  return r.astype(np.float32)


def shapes(name, num_classes=None):
  """The keys and shapes of `tests/golden/keys`, of the authors' checkpoints.

  Args:
    name: of the file, without its suffix.
    num_classes: if given, the number of outputs of the classifier.
  """
  lines = (KEYS / f'{name}.txt').read_text().splitlines()
  found = {k: tuple(json.loads(v)) for k, v in (x.split('\t') for x in lines)}
  if num_classes:
    for key, shape in found.items():
      if '.new_fc.' in key or '.fc.' in key or 'classifier.' in key:
        found[key] = (num_classes, *shape[1:])
  return found


def narrow(all_shapes):
  """The shapes of a ResNet with an eighth of its channels."""
  return {
    key: (
      *(
        shape[:1]
        if re.search(r'(new_fc|\bfc)\.', key)
        else map(_eighth, shape[:1])
      ),
      *map(_eighth, shape[1:]),
    )
    for key, shape in all_shapes.items()
  }


def _eighth(size):
  return size // 8 if size >= 64 else size
