import tracemalloc

import numpy as np
from PIL import Image
import pytest

from support import golden
from tsm_jax import errors
from tsm_jax.data.input import cropping

SCALES = (1.0, 0.875, 0.75, 0.66)

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

CASES = golden.case('preprocess')['cases']


def ramp(width, height, k):
  """The recorded image: (3x + 5y + 40c + 11k) mod 256."""
  y, x, c = np.mgrid[:height, :width, :3]
  return ((3 * x + 5 * y + 40 * c + 11 * k) % 256).astype(np.uint8)


@pytest.mark.parametrize('size', ['340x256', '320x240', '176x100', '588x331'])
def test_eval_crops_equal_the_recorded(size):
  case = CASES[f'val_{size}']
  width, height = map(int, size.split('x'))
  frames = [ramp(width, height, k) for k in (0, 1)]
  (clip,) = cropping.eval_crops(frames, 224)
  assert clip.shape == (2, 224, 224, 3) and clip.dtype == np.uint8
  assert clip.sum(dtype=np.int64) == case['raw_sum']
  assert clip[:, 0, 0].ravel().tolist() == case['raw_00']
  assert clip[:, 112, 112].ravel().tolist() == case['raw_mid']
  x = np.asarray(cropping.normalize(clip, MEAN, STD), np.float64)
  np.testing.assert_allclose(x.mean(), case['mean'], atol=1e-5)
  np.testing.assert_allclose(x.std(), case['std'], atol=1e-5)


@pytest.mark.parametrize('width, height', [(96, 72), (72, 96), (20, 31)])
def test_eval_crops_by_pillow(width, height):
  frame = np.random.default_rng(0).integers(
    0, 256, (height, width, 3), np.uint8
  )
  short = 56 * 256 // 224
  assert short == 64
  if width < height:
    scaled = Image.fromarray(frame).resize((64, 64 * height // width), 2)
  else:
    scaled = Image.fromarray(frame).resize((64 * width // height, 64), 2)
  left, top = (round((side - 56) / 2) for side in scaled.size)
  expected = scaled.crop((left, top, left + 56, top + 56))
  np.testing.assert_array_equal(
    cropping.eval_crops([frame], 56)[0, 0], np.asarray(expected)
  )


@pytest.mark.parametrize(
  ('name', 'crops', 'full'), [('fullres3', 3, True), ('ten', 10, False)]
)
def test_several_crops_equal_the_recorded(name, crops, full):
  case = CASES[f'{name}_320x240']
  frames = [ramp(320, 240, k) for k in (0, 1)]
  clips = cropping.eval_crops(frames, 224, crops, full)
  channels, size, _ = case['shape']
  assert clips.shape == (crops, 2, size, size, 3) and channels == 6 * crops
  assert clips.sum(dtype=np.int64) == case['raw_sum']
  assert clips[0, :, 0, 0].ravel().tolist() == case['raw_00']
  middle = size // 2
  assert clips[0, :, middle, middle].ravel().tolist() == case['raw_mid']
  x = np.asarray(cropping.normalize(clips, MEAN, STD), np.float64)
  np.testing.assert_allclose(x.mean(), case['mean'], atol=1e-5)
  np.testing.assert_allclose(x.std(), case['std'], atol=1e-5)


@pytest.mark.parametrize(
  ('size', 'side', 'crops', 'expected'),
  [
    ((341, 256), 256, 3, [(0, 0), (84, 0), (42, 0)]),
    ((455, 256), 256, 3, [(0, 0), (196, 0), (98, 0)]),
    ((341, 256), 224, 3, [(0, 16), (116, 16), (58, 16)]),
    ((341, 256), 256, 1, [(42, 0)]),
    # Portrait: the official code takes the same crop three times.
    ((256, 455), 256, 3, [(0, 98), (0, 98), (0, 98)]),
    ((256, 455), 256, 1, [(0, 100)]),
    (
      (341, 256),
      224,
      5,
      [(0, 0), (116, 0), (0, 32), (116, 32), (58, 16)],
    ),
    ((256, 455), 224, 5, [(0, 0), (32, 0), (0, 228), (32, 228), (16, 114)]),
  ],
)
def test_crop_positions_of_evaluation(size, side, crops, expected):
  assert cropping.crop_positions(*size, side, crops) == expected


@pytest.mark.parametrize('size', [(96, 72), (72, 96)])
@pytest.mark.parametrize('crops', [5, 10])
def test_crops_and_mirrors_by_pillow(size, crops):
  rng = np.random.default_rng(0)
  frame = rng.integers(0, 256, (size[1], size[0], 3), np.uint8)
  scaled = Image.fromarray(frame).resize(
    (64, 85) if size[0] < size[1] else (85, 64), 2
  )
  right, down = 4 * ((scaled.width - 56) // 4), 4 * ((scaled.height - 56) // 4)
  expected = []
  for x, y in (
    *((0, 0), (right, 0), (0, down), (right, down)),
    (right // 2, down // 2),
  ):
    crop = scaled.crop((x, y, x + 56, y + 56))
    expected.append(crop)
    if crops == 10:
      expected.append(crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
  found = cropping.eval_crops([frame], 56, crops)[:, 0]
  np.testing.assert_array_equal(found, [np.asarray(e) for e in expected])


def test_one_scaled_frame_is_in_memory_at_a_time():
  """Of a picture that is a line it is large: here 2 MB, of 6 KB."""
  frames = [np.zeros((2, 1000, 3), np.uint8)] * 40
  tracemalloc.start()
  try:
    cropping.eval_crops(frames, 32)
    _, most = tracemalloc.get_traced_memory()
  finally:
    tracemalloc.stop()
  assert most < 8e6


def test_other_numbers_of_crops_are_refused():
  with pytest.raises(ValueError, match='crops is 4; choose from'):
    cropping.crop_positions(256, 256, 224, 4)


def boxes(width, height, image_size, scales=SCALES, draws=6000):
  rng = np.random.default_rng(0)
  return {
    cropping.multi_scale_crop(rng, width, height, image_size, scales)
    for _ in range(draws)
  }


@pytest.mark.parametrize(
  'width, height, sides',
  [
    (340, 256, (256, 224, 192, 168)),
    (320, 240, (240, 210, 180, 158)),
    (176, 100, (100, 87, 75, 66)),
    (588, 331, (331, 289, 248, 218)),
  ],
)
def test_crop_sizes(width, height, sides):
  pairs = {(w, h) for _, _, w, h in boxes(width, height, 224)}
  assert pairs == {
    (sides[j], sides[i])
    for i, j in ((i, j) for i in range(4) for j in range(4))
    if abs(i - j) <= 1
  }
  assert len(pairs) == 10


def test_crop_positions():
  found = {
    (x, y) for x, y, w, h in boxes(340, 256, 224) if (w, h) == (224, 224)
  }
  assert found == {
    *((0, 0), (116, 0), (0, 32), (116, 32), (58, 16)),
    *((0, 16), (116, 16), (58, 32), (58, 0)),
    *((29, 8), (87, 8), (29, 24), (87, 24)),
  }


def test_sizes_snap_to_the_result():
  # 226 is less than three from 224, 221 is not.
  assert boxes(400, 226, 224, (1.0,)) == {
    (r * 44, d * 0, 224, 224) for r, d in cropping.POSITIONS
  }
  assert {b[2:] for b in boxes(400, 221, 224, (1.0,))} == {(221, 221)}
  # 222 snaps to 224, which such a frame does not have in its height.
  assert {b[2:] for b in boxes(400, 222, 224, (1.0,))} == {(224, 222)}


@pytest.mark.parametrize(
  'width, height', [(64, 48), (48, 64), (25, 24), (8, 8)]
)
def test_boxes_stay_inside(width, height):
  for x, y, w, h in boxes(width, height, 25):
    assert min(x, y) >= 0 and x + w <= width and y + h <= height
    assert w > 0 and h > 0


def test_train_crop_equals_the_recorded(monkeypatch):
  monkeypatch.setattr(
    cropping, 'multi_scale_crop', lambda *unused: (29, 8, 192, 168)
  )
  frames = [ramp(340, 256, 0)]
  crop = cropping.train_frames(frames, None, 224, SCALES)[0]
  case = CASES['crop(29,8,192x168)->224 bilinear']
  assert crop.sum(dtype=np.int64) == case['sum']
  assert crop[0, 0].tolist() == case['p00']
  assert crop[100, 57].tolist() == case['p100_57']
  assert crop[-1, -1].tolist() == case['last']


@pytest.mark.parametrize('seed', range(5))
def test_train_crop_is_one_for_the_whole_clip(seed):
  frames = [ramp(90, 70, k) for k in range(4)]
  clip = cropping.train_frames(frames, np.random.default_rng(seed), 56, SCALES)
  x, y, w, h = cropping.multi_scale_crop(
    np.random.default_rng(seed), 90, 70, 56, SCALES
  )
  expected = [
    Image.fromarray(frame).crop((x, y, x + w, y + h)).resize((56, 56), 2)
    for frame in frames
  ]
  np.testing.assert_array_equal(
    clip, np.stack([np.asarray(e) for e in expected])
  )


def test_ten_crops_of_flow_equal_pillow():
  rng = np.random.default_rng(0)
  frames = [rng.integers(0, 256, (40, 48, 2), np.uint8) for _ in range(3)]
  crops = cropping.eval_crops(frames, 28, 10, modality='flow')
  for t, frame in enumerate(frames):
    for channel in range(2):
      image = Image.fromarray(frame[..., channel]).resize((38, 32), 2)
      places = [(0, 0), (8, 0), (0, 4), (8, 4), (4, 2)]
      for number, (x, y) in enumerate(places):
        crop = np.asarray(image.crop((x, y, x + 28, y + 28)))
        found = crops[2 * number : 2 * number + 2, t, :, :, channel]
        np.testing.assert_array_equal(found[0], crop)
        mirrored = crop[:, ::-1] if channel else 255 - crop[:, ::-1]
        np.testing.assert_array_equal(found[1], mirrored)


@pytest.mark.parametrize(
  ('size', 'most', 'mean'),
  [
    ((158, 180), 1, 0.3),  # enlarged
    ((224, 224), 0, 0.0),
    ((256, 240), 8, 1.0),  # shrunk a little
    ((400, 224), 0, 0.0),  # shrunk more: by Pillow
  ],
)
def test_the_fast_resize_is_near_the_exact_one(size, most, mean):
  rng = np.random.default_rng(0)
  image = Image.fromarray(rng.integers(0, 256, (50, 60, 3), np.uint8))
  image = np.asarray(image.resize(size[::-1], Image.BICUBIC))
  exact = Image.fromarray(image).resize((224, 224), Image.BILINEAR)
  fast = cropping.RESIZES['fast'](image, 224, 224)
  difference = abs(np.asarray(exact).astype(int) - fast)
  assert difference.max() <= most and difference.mean() <= mean


def test_the_resize_of_training_crops_is_checked():
  cropping.check_resize('exact')
  with pytest.raises(errors.InputError, match="'quick'; choose from 'exact', "):
    cropping.check_resize('quick')
