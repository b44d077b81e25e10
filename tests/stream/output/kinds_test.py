"""Which files are written, and where none can be."""

import os
import types

import numpy as np
import pytest

from tsm_jax import errors
from tsm_jax.stream.frames import timed
from tsm_jax.stream.output import base, kinds, overlay, subtitles


def asked(**flags):
  return types.SimpleNamespace(**{**dict.fromkeys(kinds.FLAGS, ()), **flags})


def test_flags_name_outputs_by_their_endings(tmp_path):
  names = {
    'events': ['e.CSV', 'e.srt', 'e.vtt'],
    'scores': ['s.csv', 's.png'],
    'timeline': ['t.png'],
    'overlay': ['o.mp4'],
  }
  args = asked(**{f: [str(tmp_path / n) for n in v] for f, v in names.items()})
  kinds.check(args)
  made = list(kinds.create(args, 'a.mp4', ['x', 'y'], part='-a'))
  assert [type(output).__name__ for output in made] == [
    *('EventCsv', 'Subtitles', 'Subtitles'),
    *('ScoreCsv', 'Timeline', 'Timeline', 'Overlay'),
  ]
  for output in made:
    output.close()
  # No frame came: that is no reason to fail.
  assert {path.name for path in tmp_path.iterdir()} >= {
    *('e-a.csv', 'e-a.srt', 'e-a.vtt', 's-a.csv', 's-a.png', 't-a.png')
  }


@pytest.mark.parametrize(
  'flags, message',
  [
    ({'events': ['a.txt']}, r"^--events is 'a.txt'; its ending must be one of"),
    ({'overlay': ['a']}, r'must be one of \.mp4, \.mkv\.$'),
    (
      {'scores': ['a.png'], 'timeline': ['a.png']},
      r"^'a.png' is asked for twice\.$",
    ),
    ({'events': ['a.csv'], 'scores': ['./a.csv']}, 'is asked for twice'),
  ],
)
def test_another_ending_is_refused(flags, message):
  with pytest.raises(errors.InputError, match=message):
    kinds.check(asked(**flags))


def test_where_nothing_can_be_written(tmp_path):
  video = tmp_path / 'a.mp4'
  video.write_bytes(b'film')
  (tmp_path / 'b.mp4').mkdir()
  for path, message in (
    (video, 'is the video itself'),
    (tmp_path / 'none' / 'a.mp4', 'there is no folder'),
    (tmp_path / 'b.mp4', 'is a folder'),
    ('gs://bucket/a.mp4', 'is in a bucket'),
  ):
    with pytest.raises(errors.InputError, match=message):
      next(kinds.create(asked(overlay=[str(path)]), str(video), ['x']))
  assert video.read_bytes() == b'film'


def test_no_file_of_one_video_is_another_video_or_a_file_of_it(tmp_path):
  out = str(tmp_path / 'out.mp4')
  names = ['a.mp4', str(tmp_path / 'out-a.mp4')]
  with pytest.raises(errors.InputError, match=r"out-a.mp4', which is the vid"):
    kinds.check_paths(asked(overlay=[out]), names, ['-a', '-out-a'])
  asks = asked(events=[f'{out}.csv'], scores=[f'{out}-x.csv'])
  with pytest.raises(errors.InputError, match='would be written twice'):
    kinds.check_paths(asks, ['y.mp4', 'x-y.mp4'], ['-y', '-x-y'])
  kinds.check_paths(asks, ['y.mp4', 'z.mp4'], ['-y', '-z'])


@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='no /dev/full')
def test_a_full_disk_is_a_sentence(tmp_path):
  path = tmp_path / 'a.mp4'
  path.symlink_to('/dev/full')
  made = overlay.Overlay(str(path), 8)
  noise = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
  with pytest.raises(errors.InputError, match=r'a\.mp4.*No space left'):
    for i in range(200):
      made.frame(timed.Frame(i / 8, lambda: noise), 'run', 0.5)
  made.close()
  text = base.TextFile(str(path))
  with pytest.raises(errors.InputError, match=r'a\.mp4.*No space left'):
    text.write('line')
  text.close()
  with pytest.raises(errors.InputError, match=r'a\.mp4.*No space left'):
    subtitles.Subtitles(str(path), 'vtt')
