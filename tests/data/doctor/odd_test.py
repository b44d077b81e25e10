"""One odd file has its line, and the others are examined and built."""

import json
import os

import numpy as np
import pytest

from support import commands, helpers, scenes
from tsm_jax.data.clips import videos, workers
from tsm_jax.data.doctor import examine

pytestmark = pytest.mark.usefixtures('quiet_ffmpeg')

ESCAPE = 'x\x1b[2J\x1b]0;owned\x07[red]{b}.mp4'


@pytest.fixture(scope='module')
def odd(tmp_path_factory):
  """A folder with 16 good clips and some that are odd."""
  root = tmp_path_factory.mktemp('clips [0-9] {x}')
  helpers.write_folder(root, ('ju[mp]', 'run'), clips=8)
  run = root / 'run'
  videos.write(
    run / 'wide.mkv',
    [np.zeros((66, 66_000, 3), np.uint8)],
    codec='ffv1',
    options={},
  )
  unknown = scenes.write(run / 'unknown.avi', scenes.scene(3), 'avi')
  unknown.write_bytes(unknown.read_bytes().replace(b'FMP4', b'QXZ9'))
  (run / 'list.mp4').write_text("ffconcat version 1.0\nfile '0.mp4'\n")
  os.mkfifo(run / 'pipe.mp4')
  (run / ESCAPE).write_bytes(b'')
  return root


def test_others_are_built(odd, tmp_path):
  args = ('folder', '--manual_dir', odd, '--data_dir', tmp_path)
  done = commands.call('data.build', *args, '--max_excluded', '0.5')
  assert done.returncode == 0
  (report,) = tmp_path.rglob('build_report.json')
  report = json.loads(report.read_text())
  assert sum(map(len, report['num_frames'].values())) == 16
  reasons = dict(report['excluded'])
  assert reasons.pop('run/wide.mkv').endswith('which cannot be stored')
  assert reasons.pop('run/unknown.avi').endswith('FFmpeg cannot decode')
  assert 'is a playlist' in reasons.pop('run/list.mp4')
  assert reasons.pop('run/pipe.mp4') == 'is not a file'
  assert reasons == {f'run/{ESCAPE}': 'file is empty (0 bytes)'}
  refused = commands.call('data.build', *args, '--max_excluded', '0')
  assert refused.returncode == 2
  for text in (done.stdout, refused.stderr):
    assert r'run/x\x1b[2J\x1b]0;owned\x07[red]{b}.mp4: file is empty' in text
    assert '\x1b' not in text and '\x07' not in text


def test_others_are_examined(odd, tmp_path):
  found, page = tmp_path / 'a.json', tmp_path / 'a.html'
  args = (odd, '--cache', tmp_path, '--json', found, '--html', page)
  done = commands.call('data.doctor', *args)
  assert done.returncode == 1
  found = json.loads(found.read_text())
  assert found['num_clips'] == 20
  unreadable = {
    clip
    for finding in found['findings']
    if finding['kind'] in ('unreadable', 'unusable')
    for clip in finding['clips']
  }
  assert unreadable == {
    f'run/{name}' for name in ('unknown.avi', 'list.mp4', 'pipe.mp4', ESCAPE)
  }
  assert '\x1b' not in done.stdout and '\x07' not in done.stdout
  assert page.stat().st_size < 10**6


def test_a_wide_picture_has_a_small_one(tmp_path):
  for height, width, size in (
    (16, 8000, (1, 360)),
    (90, 361, (89, 360)),
    (90, 360, (90, 360)),
    (2000, 4, (90, 1)),
  ):
    frame = np.full((height, width, 3), 200, np.uint8)
    small = examine._thumbnail(frame)
    assert small.shape == (90, size[1], 3)
    assert (small == 200).all(axis=(1, 2)).sum() == size[0]


def test_a_file_that_is_away_is_examined_again(tmp_path, monkeypatch):
  monkeypatch.setattr(workers, 'PAUSE', 0)
  root = helpers.write_folder(tmp_path / 'clips', clips=2)
  args = (root, '--cache', tmp_path / 'cache', '--json', tmp_path / 'a.json')
  facts = examine.facts

  def without_one(clip):
    if not clip.endswith('run/1.mp4'):
      return facts(clip)
    os.rename(clip, f'{clip}.away')
    try:
      return facts(clip)
    finally:
      os.rename(f'{clip}.away', clip)

  with monkeypatch.context() as patch:
    patch.setattr(examine, 'facts', without_one)
    assert commands.call('data.doctor', *args).returncode == 1
  (finding,) = json.loads((tmp_path / 'a.json').read_text())['findings']
  assert finding['detail'] == 'file does not exist'
  assert commands.call('data.doctor', *args).returncode == 0
