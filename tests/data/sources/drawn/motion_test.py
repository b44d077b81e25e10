import numpy as np
import pytest

from support import helpers
from tsm_jax.data.clips import videos
from tsm_jax.data.input import preprocess, records
from tsm_jax.data.sources.drawn import drawing, motion
from tsm_jax.data.store import dataset

SCENES = {'train': 3, 'val': 2}
HOW = preprocess.Preprocessing(8, 64, (0.5,) * 3, (0.25,) * 3, 256, 90)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  return motion.make(tmp_path_factory.mktemp('data') / 'motion', SCENES)


@pytest.fixture(scope='module')
def built(folder):
  return dataset.open(helpers.build(folder, folder.parent / 'built')[0])


def names(folder):
  return sorted(p.relative_to(folder).as_posix() for p in folder.rglob('*.mp4'))


def test_classes_are_balanced(folder):
  assert names(folder) == sorted(
    f'{split}/{label}/{scene:05d}.mp4'
    for split, count in SCENES.items()
    for pair in motion.PAIRS
    for label in pair
    for scene in range(count)
  )


@pytest.mark.parametrize('pair', motion.PAIRS)
def test_twins_are_each_others_reverse(folder, pair):
  for split, count in SCENES.items():
    for scene in range(count):
      one, other = (
        np.stack(videos.read(folder / split / name / f'{scene:05d}.mp4').frames)
        for name in pair
      )
      assert one.shape == (24, 56, 56, 3)
      np.testing.assert_array_equal(one, other[::-1])
      assert np.any(one != other)


def test_scenes_differ(folder):
  for pair in motion.PAIRS:
    first = {
      videos.read(path).frames[0].tobytes()
      for path in folder.rglob(f'{pair[0]}/*.mp4')
    }
    assert len(first) == sum(SCENES.values())


def test_the_ceiling_of_what_forgets_order_is_a_half(built):
  """No classifier that sees the frames of a view without their order, as one
  that averages over them, can be right more often than every second time."""
  groups = {}
  for record in built.split('val'):
    (view,) = records.eval_views(record, HOW, records.Views())
    unordered = tuple(sorted(frame.tobytes() for frame in view))
    groups.setdefault(unordered, []).append((int(record['label']), view))
  labels = built.labels
  for members in groups.values():
    (one, first), (other, second) = members
    pair = {labels[one], labels[other]}
    assert pair in [set(p) for p in motion.PAIRS]
    np.testing.assert_array_equal(first, second[::-1])
    assert np.any(first != second)
  # Whatever it answers for a group, it answers for both twins.
  best = sum(
    max(np.bincount([label for label, _ in members]))
    for members in groups.values()
  )
  assert best / sum(map(len, groups.values())) == 0.5


def sprite_masks(monkeypatch, pair, seed):
  black = np.zeros((drawing.SIZE, drawing.SIZE, 3), np.uint8)
  monkeypatch.setattr(drawing, 'background', lambda rng: black)
  frames = motion.draw(np.random.default_rng(seed), pair)
  return np.stack(frames).sum(-1) > 100  # [24, 56, 56]


def moments(mask):
  y, x = np.nonzero(mask)
  return x.mean(), y.mean(), len(x), np.cov(x, y)


@pytest.mark.parametrize('seed', range(4))
def test_names_say_what_is_seen(monkeypatch, seed):
  """The first class of each pair: to the left, up, growing, clockwise."""
  x, y, area, _ = zip(*map(moments, sprite_masks(monkeypatch, 0, seed)))
  assert x[-1] < x[0] - 8 and abs(y[-1] - y[0]) < 2
  x, y, area, _ = zip(*map(moments, sprite_masks(monkeypatch, 1, seed)))
  assert y[-1] < y[0] - 8 and abs(x[-1] - x[0]) < 2
  x, y, area, _ = zip(*map(moments, sprite_masks(monkeypatch, 2, seed)))
  assert area[-1] > 2 * area[0]
  x, y, area, cov = zip(*map(moments, sprite_masks(monkeypatch, 3, seed)))
  # The long axis, as an angle that grows clockwise where y points down.
  axis = [0.5 * np.arctan2(2 * c[0, 1], c[0, 0] - c[1, 1]) for c in cov]
  turned = np.unwrap(axis, period=np.pi)
  assert 1 < turned[-1] - turned[0] < 3


def test_scenes_depend_on_seed_split_and_number_alone(folder, tmp_path):
  again = motion.make(tmp_path / 'again', SCENES)
  other = motion.make(tmp_path / 'other', SCENES, seed=1)
  for name in names(folder):
    assert (again / name).read_bytes() == (folder / name).read_bytes()
    assert (other / name).read_bytes() != (folder / name).read_bytes()


def test_an_interrupted_generation_starts_again(tmp_path, monkeypatch):
  path = tmp_path / 'motion'
  write, written = videos.write, []

  def interrupt(*args):
    if len(written) == 5:
      raise KeyboardInterrupt
    written.append(write(*args))

  with monkeypatch.context() as patch:
    patch.setattr(videos, 'write', interrupt)
    with pytest.raises(KeyboardInterrupt):
      motion.make(path, SCENES)
  assert not path.exists()
  motion.make(path, SCENES)
  assert len(names(path)) == 8 * 5
  assert [p.name for p in tmp_path.iterdir()] == ['motion']
  monkeypatch.setattr(videos, 'write', interrupt)  # a whole folder is kept
  assert motion.make(path, SCENES) == path
