"""Frames as `run.py` takes them: their pixels, times, and which make a clip."""

import numpy as np
import pytest

from support import helpers
from tsm_jax.data.clips import codec, pixels, videos
from tsm_jax.data.input import cropping, preprocess, records
from tsm_jax.export.runner import films, resizing
from tsm_jax.stream.frames import files

pytestmark = pytest.mark.usefixtures('quiet_ffmpeg')


@pytest.mark.parametrize('seed', range(3))
def test_frames_are_resized_as_a_training_sees_them(seed):
  rng = np.random.default_rng(seed)
  for _ in range(60):
    height, width, new_height, new_width = rng.integers(1, 120, 4).tolist()
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    np.testing.assert_array_equal(
      resizing.resize(image, new_width, new_height),
      pixels.resize(image, new_width, new_height),
    )


def test_the_centre_is_that_of_evaluation():
  rng = np.random.default_rng(0)
  for _ in range(100):
    height, width, size, short_side = rng.integers((20, 20, 8, 16), 90).tolist()
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    stored = cropping.full_size(size)
    square = resizing.square(image, short_side, stored, size)
    shrunk = pixels.shrink(image, short_side)
    np.testing.assert_array_equal(square, cropping.eval_square(shrunk, size))
    np.testing.assert_array_equal(
      cropping.centre(square, size), cropping.eval_crops([shrunk], size)[0, 0]
    )


@pytest.mark.parametrize(
  ('name', 'codec'),
  [
    ('a.mp4', 'libx264'),
    ('a.mkv', 'libx264'),
    ('a.ts', 'libx264'),
    ('a.avi', 'libx264'),
    ('a.avi', 'mpeg4'),
    ('a.webm', 'libvpx'),
  ],
)
def test_frames_and_times_of_a_file_are_those_of_a_stream(
  tmp_path, name, codec
):
  path = str(tmp_path / name)
  options = {'preset': 'medium'} if codec == 'libx264' else {}  # B-frames
  frames = helpers.draw(20, (48, 64))
  videos.write(path, frames, 25, codec, options)
  found = [(frame.time, frame.image) for frame in films.Film(path, print)]
  expected = [(frame.time, frame.image) for frame in files.read(path)]
  times, images = zip(*found)
  own_times, own_images = zip(*expected)
  assert times == pytest.approx(own_times, abs=1e-6)
  np.testing.assert_array_equal(images, own_images)


@pytest.mark.parametrize(
  'fields',
  [
    {},
    {'sampling': 'dense'},
    {'frame_interval': 0.1},
    {'fps': 10.0},
    {'fps': 10.0, 'frame_interval': 0.25},
  ],
)
def test_a_clip_is_that_of_evaluation(tmp_path, fields):
  how = preprocess.Preprocessing(
    4, 28, (0.5,), (0.5,), short_side=36, quality=60, **fields
  )
  path = str(helpers.write_video(tmp_path / 'a.mp4', 90, (48, 64), fps=24))
  record, _ = codec.to_record(path, how.stored())
  expected = records.eval_views(record, how, records.Views())
  film, recorder = films.Film(path, print), films.Recorder(vars(how))
  for frame in film:
    recorder.add(frame)
  found = np.stack(recorder.clip(film.rate))
  np.testing.assert_array_equal(
    [cropping.eval_crops([frame], 28)[0, 0] for frame in found], expected[0]
  )
