"""Contact sheets, and what is examined of records and of flow."""

import hashlib
import io

import numpy as np
from PIL import Image
import pytest

from support import helpers
from tsm_jax.data.clips import videos
from tsm_jax.data.doctor import examine, findings
from tsm_jax.data.store import dataset


def test_a_record_is_its_clip(tmp_path):
  source = helpers.write_folder(tmp_path / 'clips')
  path, _ = helpers.build(source, tmp_path / 'data')
  clip = (str(path), 'train', 1)
  facts = examine.facts(clip)
  record = dataset.open(path).split('train')[1]
  assert facts['video_id'] == record['video_id'].decode()
  assert facts['label'] == record['label']
  assert facts['stated_frames'] == facts['num_frames'] == 12
  assert dict(findings.judge(facts, 8)) == {}
  digest = hashlib.sha256()
  for data in record['frames']:
    frame = np.asarray(Image.open(io.BytesIO(data)))
    digest.update(b'(32, 48, 3)' + frame.tobytes())
  assert facts['content'] == digest.hexdigest()[:32]
  assert pictures(examine.sheet(clip)) == 8
  assert dataset.open(path).report['damaged'] == []


def pictures(sheet):
  image = Image.open(io.BytesIO(sheet))
  assert image.height == examine.THUMBNAIL
  return (image.width + examine.GAP) / (135 + examine.GAP)


def test_a_contact_sheet_goes_from_first_to_last(tmp_path):
  # The grey of frame t is t; 32 pictures are remembered, 8 are shown.
  frames = [np.full((32, 48, 3), t, np.uint8) for t in range(200)]
  videos.write(tmp_path / 'a.mkv', frames, codec='ffv1', options={})
  sheet = examine.sheet(str(tmp_path / 'a.mkv'))
  assert pictures(sheet) == 8
  image = np.asarray(Image.open(io.BytesIO(sheet)).convert('L'))
  greys = [image[40, 60 + i * (135 + examine.GAP)] for i in range(8)]
  # Every 8th frame is kept, 25 of them: 0, 8, ... 192.
  expected = [8 * int(i) for i in np.linspace(0, 24, 8)]
  np.testing.assert_allclose(greys, expected, atol=3)
  few = helpers.write_video(tmp_path / 'b.mp4', 3)
  assert pictures(examine.sheet(str(few))) == 3


@pytest.mark.parametrize('form', ['pairs', 'one'])
def test_flow_is_pairs_of_a_file_and_of_a_record(tmp_path, form):
  source = tmp_path / 'flow'
  for number, name in enumerate(('a', 'b')):
    clip = source / 'run' / name
    helpers.write_flow(clip, 5, mean=(100 + 20 * number, 160))
    for i in range(1, 6) if form == 'one' else ():
      x, y = (clip / f'flow_{axis}_{i:05d}.jpg' for axis in 'xy')
      pair = [np.asarray(Image.open(path)) for path in (x, y)]
      blank = np.zeros_like(pair[0])
      Image.fromarray(np.dstack([*pair, blank])).save(clip / f'{i:05d}.png')
      x.unlink()
      y.unlink()
  if form == 'pairs':  # RGB frames beside them are not examined
    helpers.write_frames(source / 'run' / 'a', 9, 'img_{:05d}.jpg')
  facts = examine.facts((str(source / 'run' / 'a'), 'flow'))
  assert (facts['num_frames'], facts['width'], facts['height']) == (5, 48, 32)
  path, _ = helpers.build(source, tmp_path / 'data', modality='flow')
  of_records = [
    examine.facts((str(path), split, 0)) for split in ('train', 'val')
  ]
  # Of PNG images both are encoded anew, in another quality.
  same = ('num_frames', 'content')[: 2 if form == 'pairs' else 1]
  names = {f['video_id']: f for f in of_records}
  assert set(names) == {'run/a', 'run/b'}
  for key in same:
    assert names['run/a'][key] == facts[key]
  assert names['run/a']['stated_frames'] == 5
  assert pictures(examine.sheet((str(source / 'run' / 'b'), 'flow'))) == 5


def test_the_colours_of_flow(tmp_path):
  for axis, value in (('x', 40), ('y', 200)):
    image = Image.fromarray(np.full((90, 120), value, np.uint8))
    image.save(tmp_path / f'flow_{axis}_1.jpg', quality=100)
  sheet = examine.sheet((str(tmp_path), 'flow'))
  pixel = np.asarray(Image.open(io.BytesIO(sheet)))[45, 60].astype(int)
  assert abs(pixel - (40, 200, 128)).max() <= 3
  facts = examine.facts((str(tmp_path / 'none.mp4'), 'flow'))
  assert facts['error']
