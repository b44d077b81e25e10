import collections
import csv
import itertools

import numpy as np
import pytest

from tsm_jax.data.clips import videos
from tsm_jax.data.sources.drawn import drawing, long_motion, storyline

SCENES = {'train': 1, 'test': 2}
SECONDS = (9, 10)


@pytest.fixture(scope='module')
def listed(tmp_path_factory):
  folder = tmp_path_factory.mktemp('data') / 'long'
  return long_motion.make(folder, SCENES, SECONDS)


def rows(path):
  with open(path, newline='') as file:
    return list(csv.DictReader(file))


def by_path(path):
  found = collections.defaultdict(list)
  for row in rows(path):
    found[row['path']].append(
      (row['label'], float(row['start']), float(row['end']), row['split'])
    )
  return found


def test_the_list_names_every_video_with_its_split(listed):
  found = sorted(listed.parent.rglob('*.mp4'))
  names = [path.relative_to(listed.parent).as_posix() for path in found]
  assert names == sorted(by_path(listed))
  assert names == [
    f'{split}/{scene:03d}{way}.mp4'
    for split, count in sorted(SCENES.items())
    for scene in range(count)
    for way in 'ab'
  ]
  for row in rows(listed):
    assert row['path'].startswith(row['split'])


def test_a_video_backwards_has_the_same_frames_and_the_other_motions(listed):
  """So that no frame, and no place in it, tells the two of a pair apart."""
  other = dict(storyline.PAIRS) | {b: a for a, b in storyline.PAIRS}
  segments = by_path(listed)
  for path in sorted(listed.parent.rglob('*a.mp4')):
    twin = path.with_name(path.name.replace('a', 'b'))
    one, two = (videos.read(p) for p in (path, twin))
    np.testing.assert_array_equal(one.frames, two.frames[::-1])
    assert one.fps == two.fps and one.times[0] == 0
    mine, its = (
      segments[p.relative_to(listed.parent).as_posix()] for p in (path, twin)
    )
    assert len(mine) > 0
    last = one.times[-1]
    for (label, start, end, split), twins in zip(mine, its[::-1]):
      assert twins[0] == other[label] and twins[3] == split
      assert twins[1:3] == pytest.approx((last - end, last - start), abs=2e-3)


def plain(monkeypatch):
  """Without anything but one sprite on black."""
  black = np.zeros((drawing.SIZE, drawing.SIZE, 3), np.uint8)
  monkeypatch.setattr(drawing, 'background', lambda rng: black)


def centre(frame):
  y, x = np.nonzero(frame.sum(-1) > 100)
  return np.array([x.mean(), y.mean()])


@pytest.mark.parametrize('seed', range(3))
def test_what_is_seen_moves_exactly_in_the_segments(monkeypatch, seed):
  plain(monkeypatch)
  monkeypatch.setattr(storyline, 'DISTRACTORS', ())
  film = long_motion.draw(np.random.default_rng(seed), (20, 22))
  assert len(film.segments) > 4
  times = np.arange(len(film.frames)) / film.fps
  changed = [np.any(a != b) for a, b in zip(film.frames, film.frames[1:])]
  moving = [
    any(start < after and end > before for _, start, end in film.segments)
    for before, after in itertools.pairwise(times)
  ]
  # The last step of a motion may be too short to be seen.
  assert np.mean(np.equal(changed, moving)) > 0.97
  assert not any(np.greater(changed, moving))
  for label, start, end in film.segments:
    inside = np.flatnonzero((times >= start) & (times <= end))
    way = centre(film.frames[inside[-1]]) - centre(film.frames[inside[0]])
    sign = {'left': (-1, 0), 'right': (1, 0), 'up': (0, -1), 'down': (0, 1)}
    expected = np.array(sign[label.removeprefix('moves ')])
    assert way @ expected > 8  # pixels
    assert abs(way @ expected[::-1]) < 2


@pytest.mark.parametrize('kind', storyline.DISTRACTORS)
def test_a_distractor_is_seen_and_is_no_segment(kind):
  seen = 0
  for seed in range(3):
    story = storyline.Story(np.random.default_rng(seed), np.arange(60) / 15)
    end = getattr(story, kind)(1.0)
    assert 1 < end <= 4
    assert not story.segments
    frames = np.stack(story.frames())
    changed = np.flatnonzero(np.any(frames[1:] != frames[:-1], (1, 2, 3))) / 15
    seen += len(changed) > 0
    assert all((changed > 1 - 2 / 15) & (changed < end + 1 / 15))
  assert seen >= 2


@pytest.mark.parametrize('kind', ['swing', 'jitter', 'flicker', 'visit'])
def test_what_only_disturbs_leaves_all_as_it_was(kind):
  story = storyline.Story(np.random.default_rng(5), np.arange(75) / 15)
  end = getattr(story, kind)(1.0)
  frames = story.frames()
  assert end < 74 / 15
  np.testing.assert_array_equal(frames[0], frames[-1])


def test_videos_have_several_frame_rates_and_lengths():
  films = [
    long_motion.draw(drawing.generator(0, 'test', scene), (5, 9))
    for scene in range(12)
  ]
  assert {film.fps for film in films} == set(long_motion.FRAME_RATES)
  lengths = [len(film.frames) / film.fps for film in films]
  assert 4.9 < min(lengths) < 6 and 8 < max(lengths) < 9.1


def test_videos_depend_on_seed_split_and_number_alone(listed, tmp_path):
  again = long_motion.make(tmp_path / 'again', {'test': 1}, SECONDS)
  other = long_motion.make(tmp_path / 'other', {'test': 1}, SECONDS, seed=1)
  first = 'test/000a.mp4'
  content = [(p.parent / first).read_bytes() for p in (listed, again, other)]
  assert content[0] == content[1] != content[2]
  assert [by_path(p)[first] for p in (listed, again)] == [
    by_path(listed)[first]
  ] * 2
  assert long_motion.make(tmp_path / 'again') == again  # a whole one is kept
