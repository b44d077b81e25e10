import pathlib

import pytest

from tsm_jax.data.doctor import findings
from tsm_jax.data.sources import folder, listings

HEALTHY = {
  'num_frames': 100,
  'width': 320,
  'height': 240,
  'fps': 25.0,
  'damage': '',
  'share': 1.0,
  'stated_frames': 100,
  'stated_duration': 4.0,
  'rotation': 0,
  'end': 4.0,
  'odd_intervals': 0.0,
  'rates': [25.0, 25.0],
  'motion': 100,
  'content': '00',
  'scenes': [],
}


@pytest.mark.parametrize(
  'changes, expected',
  [
    ({}, {}),
    ({'stated_frames': 0, 'stated_duration': 0.0, 'end': 0.0}, {}),
    ({'error': 'no frame decodes', 'empty': True}, ['no_frames']),
    ({'error': 'has no video stream', 'empty': False}, ['unreadable']),
    ({'end': 3.87}, ['truncated']),  # 97 % of 4 s are 3.88
    ({'end': 3.89}, []),
    ({'end': 2.0, 'damage': '50 of 100 frames decode: bad'}, ['truncated']),
    ({'damage': '99 of 100 frames decode: bad'}, ['damaged']),
    (
      {'damage': '99 of 100 frames decode: the rest is missing'},
      ['frame_count'],
    ),
    ({'num_frames': 101}, ['frame_count']),
    ({'num_frames': 2, 'stated_frames': 2}, ['too_short']),
    ({'num_frames': 7, 'stated_frames': 0}, ['short']),
    ({'num_frames': 8, 'stated_frames': 0}, []),
    ({'rotation': -90}, ['rotated']),
    ({'rotation': 45}, ['rotation']),
    ({'odd_intervals': 0.06}, ['variable_rate']),
    ({'odd_intervals': 0.05}, []),
    ({'motion': 3}, ['static']),
    ({'motion': 4}, []),
    ({'motion': 0, 'num_frames': 1, 'stated_frames': 1}, ['too_short']),
    ({'rotation': 90, 'motion': 0}, ['rotated', 'static']),
    (
      {
        'damage': '70 frames decode where its rate and duration make 100: '
        'some are lost, or its frame rate varies',
        'odd_intervals': 0.2,
      },
      ['variable_rate'],
    ),
    (
      {
        'damage': '70 frames decode where its rate and duration make 100: '
        'some are lost, or its frame rate varies',
        'odd_intervals': 0.01,
      },
      ['damaged'],
    ),
  ],
)
def test_what_is_odd_about_one_clip(changes, expected):
  changes = {'stated_frames': 0, **changes} if 'damage' in changes else changes
  found = findings.judge({**HEALTHY, **changes}, 8)
  assert [kind for kind, _ in found] == list(expected)


def test_a_stated_count_tells_the_length_where_the_duration_does_not():
  # FFmpeg corrects the duration of an AVI file that is cut.
  facts = {**HEALTHY, 'num_frames': 50, 'end': 2.0, 'stated_duration': 2.0}
  facts['damage'] = '50 of 100 frames decode: the rest is missing'
  assert list(findings.judge(facts, 8)) == [
    (
      'truncated',
      'ends after 2.00 of 4.00 s; 50 of 100 frames decode: the rest is missing',
    )
  ]


def tally(*clips, labels=('run', 'jump')):
  """`(name, label, split, content)` of each clip to what is found."""
  result = findings.Tally(8)
  for name, label, split, content in clips:
    item = listings.Item(pathlib.Path(name), name, label, split)
    result.add(item, {**HEALTHY, 'content': content})
  result.end(labels)
  return result


def test_duplicates():
  found = tally(
    ('a', 'run', 'train', '01'),
    ('b', 'run', 'val', '02'),
    ('c', 'run', 'train', '03'),
    ('d', 'run', 'train', '01'),  # as a
    ('e', 'jump', 'train', '02'),  # as b
    ('f', 'jump', 'train', '03'),  # as c
    ('g', 'run', 'test', '03'),
    ('h', 'jump', 'val', '04'),
    ('i', 'run', 'val', '04'),  # as h
  ).findings
  assert [(kind, list(clips)) for kind, clips, _ in found] == [
    ('duplicate', ['a', 'd']),
    ('duplicate_split', ['b', 'e']),
    ('duplicate_split', ['c', 'f', 'g']),
    ('duplicate_label', ['h', 'i']),
  ]
  assert found[1].detail == 'the same frames: b (val, run), e (train, jump)'


def test_many_duplicates_are_one_short_sentence():
  clips = [(f'{i}', 'run', 'train', '01') for i in range(30)]
  (found,) = tally(*clips).findings
  assert len(found.clips) == 30
  assert found.detail.endswith('4 (train, run), 25 more')


def test_imbalance():
  def clips(run, jump, split='train'):
    both = [('run', run), ('jump', jump)]
    return [
      (f'{label}{i}{split}', label, split, f'{j}{i:03}{len(split):04}')
      for j, (label, count) in enumerate(both)
      for i in range(count)
    ]

  assert tally(*clips(20, 2)).findings == []
  (found,) = tally(*clips(21, 2)).findings
  assert found == (
    'imbalance',
    [],
    "'run' has 21 training clips, 'jump' 2",
  )
  assert tally(*clips(2, 2), *clips(50, 1, 'val')).findings == []
  # A class without a clip is told elsewhere.
  assert tally(*clips(20, 0)).findings == []


def test_counts_and_lengths():
  result = tally(
    ('a', 'run', 'train', '01'),
    ('b', 'run', 'train', '02'),
    ('c', 'jump', 'val', '03'),
  )
  assert result.counts == {('train', 'run'): 2, ('val', 'jump'): 1}
  assert result.lengths == {'train': [100, 100], 'val': [100]}
  item = listings.Item(pathlib.Path('d'), 'd', 'run', 'train')
  result.add(item, {'error': 'is broken', 'empty': False})
  assert result.counts[('train', 'run')] == 2
  assert result.findings == [('unreadable', ['d'], 'is broken')]


def test_excluded(tmp_path):
  for name in ('run/a.mp4', 'jump/b.mp4', 'c.mp4', 'swim/d.mp4'):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b'x')
  (tmp_path / 'run' / 'gone.mp4').symlink_to('nowhere')
  (tmp_path / 'labels').write_text('run\njump\n')
  listing = folder.scan(tmp_path, tmp_path / 'labels', holdout=0)
  assert [
    (kind, *names)
    for kind, names, _ in findings.from_excluded(listing.excluded)
  ] == [
    ('label', 'c.mp4'),
    ('unusable', 'run/gone.mp4'),
    ('label', 'swim/d.mp4'),
  ]
