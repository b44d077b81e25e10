import dataclasses

import numpy as np

from support import helpers
from tsm_jax.bench.inputs import official, ways
from tsm_jax.data import sampling
from tsm_jax.data.clips import videos
from tsm_jax.data.input import cropping


def test_the_official_input_is_as_described(tmp_path):
  path = helpers.write_video(tmp_path / 'a.mp4', 20, (40, 56))
  scales = (1.0, 0.75)
  preprocessing = dataclasses.replace(
    ways.PREPROCESSING, num_frames=4, image_size=32
  )
  clips = official.Clips([str(path)], 9, preprocessing, scales)
  decoded = videos.read(path).frames
  flips = set()
  for number in range(6):
    rng = np.random.default_rng(number)
    indices = sampling.random_indices(rng, 20, 4)
    expected = cropping.train_frames(
      [decoded[i] for i in indices], rng, 32, scales
    )
    if rng.random() < 0.5:
      expected = expected[:, :, ::-1]
      flips.add(number)
    expected = (expected / 255 - preprocessing.mean) / preprocessing.std
    found, label = clips[number]
    assert (label, found.shape, str(found.dtype)) == (
      number,
      (12, 32, 32),
      'torch.float32',
    )
    found = found.numpy().reshape(4, 3, 32, 32).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(found, expected, atol=1e-5)
  assert 0 < len(flips) < 6
