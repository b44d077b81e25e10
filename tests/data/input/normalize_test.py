"""What becomes of the values of pixels: flow, differences, statistics."""

import jax
import numpy as np

from tsm_jax.data.input import cropping

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def test_normalize():
  frames = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5, 3), np.uint8)
  x = jax.jit(lambda f: cropping.normalize(f, MEAN, STD))(frames)
  expected = (frames / 255 - np.array(MEAN)) / np.array(STD)
  assert x.dtype == np.float32
  np.testing.assert_allclose(x, expected, rtol=2e-5, atol=1e-6)


def test_a_mirror_turns_the_sign_of_horizontal_motion():
  flow = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 10), np.uint8)
  expected = np.empty_like(flow)
  for t in range(2):  # as the official code: each image on its own
    for channel in range(10):
      image = np.fliplr(flow[t, :, :, channel])
      expected[t, :, :, channel] = 255 - image if channel % 2 == 0 else image
  np.testing.assert_array_equal(cropping.mirror(flow, 'flow'), expected)
  on_device = jax.jit(lambda f: cropping.mirror(f, 'flow'))(flow)
  np.testing.assert_array_equal(on_device, expected)
  rgb = flow[..., :9]
  np.testing.assert_array_equal(cropping.mirror(rgb), rgb[:, :, ::-1])


def test_differences_by_hand():
  # Six frames of one pixel: red rises by 1, 2, ..., green stays, blue falls.
  reds, blue = np.cumsum([10, 1, 2, 3, 4, 5]), 200
  frames = np.stack([[r, 7, blue - r] for r in reds]).astype(np.uint8)
  x = cropping.normalize(
    frames.reshape((1, 1, 18)), (0.0,), (1.0,), modality='rgb_diff'
  )
  expected = [[d, 0, -d] for d in (1, 2, 3, 4, 5)]
  np.testing.assert_allclose(
    x[0, 0], np.array(expected).ravel() / 255, atol=1e-7
  )
  # Where they are made of BGR frames, every difference is turned around.
  y = cropping.normalize(
    frames.reshape((1, 1, 18)), (0.0,), (1.0,), 1.0, 'bgr', 'rgb_diff'
  )
  np.testing.assert_array_equal(
    y[0, 0], np.array([[-d, 0, d] for d in (1, 2, 3, 4, 5)]).ravel()
  )


def test_normalisation_of_bgr_in_whole_levels():
  frames = np.array([[[10, 20, 30], [255, 0, 128]]], np.uint8)
  x = cropping.normalize(frames, (104, 117, 128), (1,), 1.0, 'bgr')
  expected = [[30 - 104, 20 - 117, 10 - 128], [128 - 104, -117, 255 - 128]]
  np.testing.assert_array_equal(x[0], expected)
