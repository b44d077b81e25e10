"""Which clips look alike: drawn scenes, and all pairs compared one by one."""

import itertools
import json
import random
import re

import cv2
import numpy as np
import pytest

from support import commands
from tsm_jax.data.clips import pixels, videos
from tsm_jax.data.doctor import scenes, shares
from tsm_jax.data.sources import folder


def place(seed, size=(96, 128)):
  """A still picture with coarse and fine structures, unlike any other."""
  rng = np.random.default_rng(seed)
  picture = np.zeros(size)
  for cells, weight in ((4, 90), (12, 60), (48, 30)):
    noise = rng.random((cells, cells))
    picture += weight * cv2.resize(noise, size[::-1])
  return np.clip(picture + 30, 0, 255).astype(np.uint8)


def filmed(seed, first, count=10):
  """Frames of a place in which somebody walks, with noise."""
  rng = np.random.default_rng(1000 * seed + first)
  frames = []
  for t in range(first, first + count):
    grey = place(seed).astype(int)
    grey[40:80, 3 * t : 3 * t + 12] = 20
    grey = np.clip(grey + rng.normal(0, 4, grey.shape), 0, 255)
    frames.append(np.repeat(grey.astype(np.uint8)[..., None], 3, -1))
  return frames


def distance(one, other):
  return bin(int(one, 16) ^ int(other, 16)).count('1')


def test_a_hash_stays_with_the_picture():
  hashes = [scenes.frame_hash(place(seed)) for seed in range(12)]
  for one, other in itertools.combinations(hashes, 2):
    assert distance(one, other) > 1.5 * scenes.NEAR
  image = place(3)
  darker = (image * 0.6 + 10).astype(np.uint8)
  colour = np.repeat(image[..., None], 3, -1)
  encoded = pixels.decode_jpeg(pixels.encode_jpeg(colour, 40))[..., 0]
  smaller = cv2.resize(image, (64, 48), interpolation=cv2.INTER_AREA)
  for changed in (darker, encoded, smaller):
    assert distance(scenes.frame_hash(changed), hashes[3]) <= 4
  assert scenes.frame_hash(np.full((90, 160), 7, np.uint8)) == ''
  # By hand: light on the left is the lowest horizontal frequency, and its odd
  # multiples with changing signs; nothing is vertical.
  left = np.zeros((32, 32), np.uint8)
  left[:, :16] = 200
  assert scenes.frame_hash(left)[:2] == f'{0b01000100:02x}'


@pytest.mark.parametrize('count', [1, 2, 3, 7, 8, 9, 100])
def test_hashes_are_of_the_whole_clip(count):
  found = scenes.Hashes()
  every = [place(seed) for seed in range(min(count, 20))]
  for t in range(count):
    found.add(every[t * len(every) // count])
  chosen, hashes = found.chosen(), [scenes.frame_hash(one) for one in every]
  assert len(chosen) == min(count, scenes.FRAMES)
  assert chosen[0] == hashes[0] and chosen[-1] == hashes[-1]
  places = [hashes.index(one) for one in chosen]
  assert places == sorted(places)
  assert scenes.Hashes().chosen() == []


def random_clips(rng):
  """Clips with hashes of which some differ in few bits."""
  roots = [rng.getrandbits(63) for _ in range(12)]
  clips = []
  for number in range(60):
    hashes = []
    for _ in range(rng.randint(1, 4)):
      bits = rng.choice(roots)
      for _ in range(rng.randint(0, 12)):
        bits ^= 1 << rng.randrange(63)
      hashes.append(f'{bits:016x}')
    split = rng.choice(['train', 'train', 'val', 'test'])
    clips.append(scenes.Clip(f'{number}', split, bytes([number]), hashes))
  return clips


@pytest.mark.parametrize('block', [1, 3000, scenes._BLOCK])
def test_pairs_are_those_of_a_plain_search(block, monkeypatch):
  monkeypatch.setattr(scenes, '_BLOCK', block)
  clips = random_clips(random.Random(block))
  train = [clip for clip in clips if clip.split == 'train']
  every = {found.split: found for found in scenes.across(clips)}
  assert every.keys() == {'val', 'test'}
  for split, found in every.items():
    near, expected = 0, {}
    some = [clip for clip in clips if clip.split == split]
    for one in some:
      for other in train:
        bits = min(
          distance(a, b) for a, b in itertools.product(one.hashes, other.hashes)
        )
        if bits <= scenes.NEAR:
          near += 1
          expected[one.name] = min(bits, expected.get(one.name, 64))
    assert {p.clip.name: p.bits for p in found.pairs} == expected
    assert [p.bits for p in found.pairs] == sorted(expected.values())
    assert found.share == pytest.approx(near / len(some) / len(train))
    assert found.clips == len(some)


def test_folds_are_compared_with_each_other_and_copies_left_out():
  a, b = 'f' * 16, '0' * 15 + 'f'
  clips = [
    scenes.Clip('1', 'fold_0', b'1', [a]),
    scenes.Clip('2', 'fold_0', b'2', [b]),
    scenes.Clip('3', 'fold_1', b'3', [a]),
    scenes.Clip('4', 'fold_2', b'2', [b]),  # the same frames as 2
  ]
  found = {
    f.split: [p.other.name for p in f.pairs] for f in scenes.across(clips)
  }
  assert found == {'fold_0': ['3'], 'fold_1': ['1'], 'fold_2': []}


def test_ten_thousand_clips_take_seconds():
  rng = np.random.default_rng(0)
  hashes = rng.integers(0, 2**63, (10_000, 4), np.uint64)
  hashes[1] = hashes[0] ^ np.uint64(5)
  clips = [
    scenes.Clip(
      str(number),
      'train' if number % 5 else 'val',
      number.to_bytes(4),
      [f'{bits:016x}' for bits in row],
    )
    for number, row in enumerate(hashes.tolist())
  ]
  (found,) = scenes.across(clips[:2000])  # the rest by hand: 1.5 s
  assert [(p.clip.name, p.other.name, p.bits) for p in found.pairs] == [
    ('0', '1', 2)
  ]


def doctor(root, out, *more):
  done = commands.call(
    'data.doctor', root, '--cache', out, '--json', out / 'f.json', *more
  )
  return done, json.loads((out / 'f.json').read_text())


def other_cut(name):
  return re.sub('_(.)', lambda match: f'_{1 - int(match[1])}', name)


def test_cuts_of_one_recording_are_found_across_splits(tmp_path):
  # Of places 0 to 8 two cuts each; by their names, some are in both splits.
  root = tmp_path / 'clips'
  for seed in range(9):
    for part in range(2):
      path = root / 'xyz'[seed % 3] / f'place{seed}_{part}.mp4'
      path.parent.mkdir(parents=True, exist_ok=True)
      videos.write(path, filmed(seed, 10 * part))
  done, found = doctor(root, tmp_path, '--holdout=0.4')
  pairs = [f['clips'] for f in found['findings'] if f['kind'] == 'near_split']
  for clip, other in pairs:
    assert other == other_cut(clip)
  items = folder.scan(root, holdout_rule='stratified', holdout=0.4).items
  split = {item.video_id: item.split for item in items}
  held_out = {
    name
    for name, side in split.items()
    if side == 'val' and split[other_cut(name)] == 'train'
  }
  assert {clip for clip, _ in pairs} == held_out and held_out
  assert found['num_problems'] == 0 and done.returncode == 0
  (note,) = [n for n in found['notes'] if 'data.group' in n]
  assert note.startswith(f"{len(pairs)} of 6 clips of 'val' look like one that")
  # With groups, there is none.
  done, found = doctor(root, tmp_path, '--holdout=0.4', r'--group=place\d')
  assert found['findings'] == [] and found['notes'] == []
  assert 'val has 33% of all clips and of every class.' in done.stdout


def test_one_place_for_all_is_a_note_and_no_list(tmp_path):
  for number in range(8):
    path = tmp_path / 'clips' / 'xy'[number % 2] / f'{number}.mp4'
    path.parent.mkdir(parents=True, exist_ok=True)
    videos.write(path, filmed(0, number))
  _, found = doctor(tmp_path / 'clips', tmp_path)
  assert found['findings'] == []
  assert found['notes'] == [
    "2 of 2 clips of 'val' look like one that is trained on, as 100% of all "
    'pairs do: the camera stands still, or they are drawn; whether the same '
    'persons or recordings are on both sides, only their names tell'
  ]


def test_an_uneven_split_is_told_by_class():
  counts = {
    ('train', 'a'): 40,
    ('val', 'a'): 10,
    ('train', 'b'): 38,
    ('val', 'b'): 2,  # 8 are due: by more than half of that
    ('train', 'c'): 3,
    ('val', 'c'): 2,  # 1 is due: but for a clip
    ('val', 'd'): 6,
  }
  # 20 of 101 are held out.
  assert list(shares.uneven(counts, 'abcd')) == [
    ('b', 'val has 2 of 40 clips (5%), and 20% of all classes'),
    ('d', 'val has 6 of 6 clips (100%), and 20% of all classes'),
  ]
  assert list(shares.uneven({('train', 'a'): 1, ('train', 'b'): 9}, 'ab')) == []
  assert shares.described({'a': {'train': 3}, 'b': {}}) == ''
  assert shares.described({}) == ''
