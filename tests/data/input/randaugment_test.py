import numpy as np
from PIL import Image
import pytest

from tsm_jax.data.input import randaugment

FRAME = np.random.default_rng(0).integers(0, 200, (20, 24, 3), np.uint8)


def test_a_clip_gets_the_same_operations_in_all_frames():
  clip = np.stack([FRAME] * 3)
  seen = set()
  for seed in range(60):
    out = randaugment.augment(clip, np.random.default_rng(seed), 2, 15)
    assert out.shape == clip.shape and out.dtype == np.uint8
    assert np.all(out == out[:1])
    again = randaugment.augment(clip, np.random.default_rng(seed), 2, 15)
    np.testing.assert_array_equal(out, again)
    seen.add(out.tobytes())
  assert len(seen) > 40


def test_none_leaves_the_clip_and_the_generator_alone():
  clip, rng = np.stack([FRAME] * 3), np.random.default_rng(0)
  np.testing.assert_array_equal(randaugment.augment(clip, rng, 0, 9), clip)
  assert rng.integers(1000) == np.random.default_rng(0).integers(1000)


def test_all_operations_are_drawn_alike_and_applied_in_turn(monkeypatch):
  drawn = []

  def record(frame, name, magnitude, sign):
    drawn.append((name, magnitude, sign))
    return frame

  monkeypatch.setattr(randaugment, 'apply', record)
  rng = np.random.default_rng(0)
  for _ in range(1400):
    randaugment.augment(FRAME[None], rng, 2, 9)
  names, counts = np.unique([name for name, _, _ in drawn], return_counts=True)
  assert set(names) == set(randaugment.OPERATIONS) and len(names) == 14
  assert np.all(abs(counts - 200) < 5 * np.sqrt(200))
  assert {magnitude for _, magnitude, _ in drawn} == {9}
  assert abs(sum(sign for _, _, sign in drawn)) < 5 * np.sqrt(2800)


@pytest.mark.parametrize('name', randaugment.OPERATIONS)
def test_magnitude_nought_changes_nothing(name):
  if name not in ('autocontrast', 'equalize'):  # they have no magnitude
    for sign in (1, -1):
      np.testing.assert_array_equal(
        randaugment.apply(FRAME, name, 0, sign), FRAME
      )


def gray(frame):
  return frame @ np.array([0.299, 0.587, 0.114])


def shift(frame, dx, dy):
  """Moved by whole pixels, mid-gray where nothing is left."""
  out = np.full_like(frame, 128)
  height, width = frame.shape[:2]
  for y in range(height):
    for x in range(width):
      if 0 <= y + dy < height and 0 <= x + dx < width:
        out[y, x] = frame[y + dy, x + dx]
  return out


def stretch(frame):
  low, high = frame.min((0, 1)), frame.max((0, 1))
  return (frame - low) * (255 / (high.astype(float) - low))


@pytest.mark.parametrize(
  ('name', 'sign', 'expected', 'tolerance'),
  [
    # At magnitude 20 of 30.
    ('brightness', 1, lambda f: f * 1.6, 1),
    ('brightness', -1, lambda f: f * 0.4, 1),
    ('color', -1, lambda f: 0.4 * f + 0.6 * gray(f)[..., None], 1.1),
    ('contrast', 1, lambda f: 1.6 * f - 0.6 * gray(f).mean(), 1.6),
    ('posterize', 1, lambda f: f // 8 * 8, 0),
    ('solarize', 1, lambda f: np.where(f < 85, f, 255 - f), 0),
    ('translate_x', 1, lambda f: shift(f, 7, 0), 0),
    ('translate_x', -1, lambda f: shift(f, -7, 0), 0),
    ('translate_y', 1, lambda f: shift(f, 0, 6), 0),
    ('autocontrast', 1, stretch, 1),
  ],
)
def test_operations_by_numpy(name, sign, expected, tolerance):
  found = randaugment.apply(FRAME, name, 20, sign).astype(float)
  wanted = np.clip(expected(FRAME.astype(np.int64)), 0, 255)
  assert abs(found - wanted).max() <= tolerance


def test_equalize_flattens_the_histogram():
  # Pillow counts in whole steps of pixels / 255, so the image must be large.
  rng = np.random.default_rng(0)
  dark = rng.integers(0, 50, (200, 240, 3), np.uint8)
  found = randaugment.apply(dark, 'equalize', 9)
  assert found.max() > 240 and abs(found.mean() - 127) < 12
  order = np.argsort(dark[..., 0].ravel(), kind='stable')
  assert np.all(np.diff(found[..., 0].ravel()[order].astype(int)) >= 0)


def test_sharpness_moves_away_from_the_blurred_image():
  sharp, blurred = (
    randaugment.apply(FRAME, 'sharpness', 20, sign) for sign in (1, -1)
  )
  assert blurred.std() < FRAME.std() < sharp.std()


def marked(x, y):
  frame = np.zeros((41, 41, 3), np.uint8)
  frame[y - 1 : y + 2, x - 1 : x + 2] = 255
  return frame


def centre(frame):
  bright = np.where(frame[..., 0] == 128, 0, frame[..., 0]).astype(float)
  y, x = np.mgrid[:41, :41]
  return np.array([(bright * x).sum(), (bright * y).sum()]) / bright.sum()


@pytest.mark.parametrize(
  ('name', 'sign', 'expected'),
  [
    # Of a mark at (30, 20) and rotation about the centre, by 20 degrees,
    # counterclockwise with y pointing down.
    ('rotate', 1, (20 + 10 * np.cos(0.349), 20 - 10 * np.sin(0.349))),
    ('rotate', -1, (20 + 10 * np.cos(0.349), 20 + 10 * np.sin(0.349))),
    ('shear_x', 1, (30 - 0.2 * 20, 20)),
    ('shear_x', -1, (30 + 0.2 * 20, 20)),
    ('shear_y', 1, (30, 20 - 0.2 * 30)),
  ],
)
def test_where_geometry_moves_a_mark(name, sign, expected):
  found = randaugment.apply(marked(30, 20), name, 20, sign)
  np.testing.assert_allclose(centre(found), expected, atol=0.5)
  corner = Image.fromarray(found).getpixel((0, 0))
  assert corner in ((128, 128, 128), (0, 0, 0))
