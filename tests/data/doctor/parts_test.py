"""The doctor knows parts of long videos, and decodes a video once for all."""

import io
import json

import numpy as np
from PIL import Image
import pytest

from support import helpers, listed
from tsm_jax.data.clips import videos
from tsm_jax.data.clips.films import parts
from tsm_jax.data.doctor import __main__ as doctor
from tsm_jax.data.doctor import examine, reading
from tsm_jax.data.sources import segments

COLUMNS = ('path', 'label', 'split', 'start', 'end')


@pytest.fixture(scope='module')
def source(tmp_path_factory):
  """A film that moves, stands still from 4 to 6 s, and ends after 8 s."""
  root = tmp_path_factory.mktemp('films')
  frames = helpers.draw(80, (32, 48))
  frames[40:60] = [frames[40]] * 20
  videos.write(root / 'a.mp4', frames, fps=10)
  helpers.write_video(root / 'b.mp4', 40, seed=1, fps=10)
  rows = [
    ('a.mp4', 'x', 'train', 0, 2),
    ('a.mp4', 'x', 'train', 4, 6),
    ('a.mp4', 'y', 'train', 0.05, 2.05),
    ('a.mp4', 'y', 'train', 7.5, 9),
    ('a.mp4', 'y', 'train', 9, 10),
    ('b.mp4', 'x', 'val', 1, 1.3),
    ('b.mp4', 'y', 'val', 2, 4),
  ]
  return listed.write_csv(root / 'l.csv', rows, COLUMNS)


def run(source, cache, *args):
  """`(status, what the JSON file says)`."""
  out = cache / 'found.json'
  args = [source, '--cache', cache, '--json', out, *args]
  status = doctor.main([str(arg) for arg in args])
  return status, json.loads(out.read_text())


def test_what_is_wrong_with_parts(source, tmp_path, monkeypatch):
  decoded = []
  read = parts.read
  monkeypatch.setattr(
    parts, 'read', lambda path, *args: decoded.append(path) or read(path, *args)
  )
  status, found = run(source, tmp_path)
  assert status == 1 and len(decoded) == 2
  assert found['num_clips'] == 7
  told = {(f['kind'], f['clips'][0]): f['detail'] for f in found['findings']}
  assert told == {
    ('no_frames', 'a.mp4@9-10'): (
      'begins at 9.00 s, but the video ends at 8.00 s'
    ),
    ('damaged', 'a.mp4@7.5-9'): 'ends at 9.00 s, but the video at 8.00 s',
    ('static', 'a.mp4@4-6'): 'changes by at most 0 of 255 levels',
    ('short', 'a.mp4@7.5-9'): '5 frames, where a clip has 8',
    ('short', 'b.mp4@1-1.3'): '3 frames, where a clip has 8',
  }
  assert found['splits']['train']['frames'] == [5, 20, 20]
  assert run(source, tmp_path)[1] == found and len(decoded) == 2
  # A part more: the others are known.
  more = source.with_name('more.csv')
  more.write_text(source.read_text() + 'a.mp4,x,train,6,7\n')
  assert run(more, tmp_path)[1]['num_clips'] == 8


def test_background_is_examined(source, tmp_path):
  _, found = run(source, tmp_path, '--background', 'idle')
  assert sorted(found['classes']) == ['idle', 'x', 'y']
  assert found['classes']['idle'].keys() <= {'train', 'val'}


def test_facts_of_a_part_are_those_of_the_clip_cut_out(tmp_path):
  frames = helpers.draw(30, (32, 48))
  videos.write(tmp_path / 'a.mp4', frames, fps=10)
  videos.write(tmp_path / 'b.mp4', frames[10:20], fps=10)
  film = reading.Film(str(tmp_path / 'a.mp4'), (segments.Segment(1, 2),), 'rgb')
  (part,) = examine.facts(film)
  cut = examine.facts(str(tmp_path / 'b.mp4'))
  assert part.pop('end') == 2 and cut.pop('end') == 1
  for name in ('stated_frames', 'stated_duration'):
    assert part.pop(name) == 0 and cut.pop(name)
  assert part.pop('rates') == pytest.approx(cut.pop('rates'))
  assert part == cut
  one, other = (
    np.asarray(Image.open(io.BytesIO(examine.sheet(clip))))
    for clip in (film, str(tmp_path / 'b.mp4'))
  )
  np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize('modality', ['rgb', 'flow'])
def test_parts_of_folders(tmp_path, modality):
  write = helpers.write_flow if modality == 'flow' else helpers.write_frames
  write(tmp_path / 'a', 12)
  film = reading.Film(
    str(tmp_path / 'a'),
    tuple(segments.Segment(*x, 'frames') for x in ((2, 6), (20, 22))),
    modality,
  )
  good, behind = examine.facts(film)
  assert good['num_frames'] == 4
  assert behind['error'] == 'begins at frame 20, but there are 12 images'


def test_a_film_that_is_away(tmp_path):
  parts_of = (segments.Segment(0, 1), segments.Segment(1, 2))
  found = examine.facts(reading.Film(str(tmp_path / 'a.mp4'), parts_of, 'rgb'))
  assert found == 2 * [
    {'error': 'file does not exist', 'empty': False, 'passing': True}
  ]
