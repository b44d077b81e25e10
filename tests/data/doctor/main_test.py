import json
import re
import shutil

import numpy as np
from PIL import Image
import pytest

from support import browser, commands, helpers
from tsm_jax.data.clips import videos
from tsm_jax.data.doctor import __main__ as doctor

EVIL = '<img src=x onerror="document.title=\'owned\'">'


def main(*args):
  """The command in this process; its status."""
  try:
    return doctor.main([str(arg) for arg in args])
  except SystemExit as stopped:
    return stopped.code


@pytest.fixture(scope='module')
def sick(tmp_path_factory):
  """A folder with clips of many kinds of trouble, and what was found in it."""
  root = tmp_path_factory.mktemp('sick videos ü')
  train, val = root / 'train', root / 'val'
  frames = [np.full((64, 96, 3), (230, 20, 20), np.uint8) for _ in range(12)]
  for i, frame in enumerate(frames):
    frame[:16, 4 * i : 4 * i + 8] = 255
  for label in ('red', EVIL):
    (train / label).mkdir(parents=True)
    (val / label).mkdir(parents=True)
  videos.write(train / 'red' / f'{EVIL}.mp4', frames)
  for number in range(4):
    helpers.write_video(train / 'red' / f'{number}.mp4', seed=number)
    helpers.write_video(train / EVIL / f'{number}.mp4', seed=10 + number)
  shutil.copy(train / 'red' / '0.mp4', val / 'red' / 'copy.mp4')
  helpers.write_video(val / EVIL / 'well.mp4', seed=20)
  videos.write(val / EVIL / 'still.mp4', frames[:1] * 9)
  helpers.write_video(val / EVIL / 'short.mp4', 2, seed=21)
  (val / 'red' / 'empty.mp4').write_bytes(b'')
  helpers.write_video(val / 'unlabelled.mp4', 5)
  cut = helpers.write_video(val / 'red' / 'cut.mkv', 60, (64, 64), seed=22)
  cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
  out = tmp_path_factory.mktemp('out')
  done = commands.call(
    'data.doctor',
    *(root, '--cache', out / 'cache'),
    *('--json', out / 'found.json', '--html', out / 'found.html'),
  )
  return root, out, done


def test_what_is_found(sick):
  root, out, done = sick
  assert done.returncode == 1, done.stderr
  found = json.loads((out / 'found.json').read_text())
  assert found['source'] == str(root)
  assert {
    tuple(f['clips']): (f['kind'], f['severity']) for f in found['findings']
  } == {
    ('train/red/0.mp4', 'val/red/copy.mp4'): ('duplicate_split', 'problem'),
    ('val/red/empty.mp4',): ('unreadable', 'problem'),
    ('val/red/cut.mkv',): ('truncated', 'problem'),
    ('val/unlabelled.mp4',): ('label', 'problem'),
    (f'val/{EVIL}/short.mp4',): ('too_short', 'problem'),
    (f'val/{EVIL}/still.mp4',): ('static', 'note'),
  }
  assert found['num_problems'] == 5 and found['num_clips'] == 15
  assert found['classes'] == {
    'red': {'train': 5, 'val': 2},
    EVIL: {'train': 4, 'val': 3},
  }
  assert found['splits']['train'] == {'clips': 9, 'frames': [12, 12, 12]}
  lines = [line.rstrip() for line in done.stdout.splitlines()]
  assert lines[-1] == '5 problems and 1 note in 15 clips of 2 classes.'
  assert any(re.match(' *1 x Static ', line) for line in lines)


def test_the_page_in_a_browser(sick, tmp_path):
  root, out, _ = sick
  page = (out / 'found.html').read_text()
  assert '<script' not in page and 'http' not in page.replace('http-equiv', '')
  uri = (out / 'found.html').as_uri()
  dom = browser.show(uri, tmp_path, '--dump-dom')
  assert f'<title>Dataset {root}</title>' in dom
  assert '5 problems and 1 note in 15 clips of 2 classes.' in dom
  # Two duplicates, of other findings one each but the unreadable and the
  # unlabelled, two classes.
  images = re.findall(r'<img alt="[^"]*" src="data:image/jpeg;base64,', dom)
  assert len(images) == len(re.findall('<img', dom)) == 2 + 3 + 2
  assert 'val/&lt;img src=x onerror=' in dom
  # In the picture, the red clip is there: eight times 135 by 90 pixels, of
  # which the upper quarter is partly white, scaled to half a page.
  browser.show(
    uri,
    tmp_path,
    f'--screenshot={tmp_path / "page.png"}',
    '--window-size=1100,3000',
  )
  image = np.asarray(Image.open(tmp_path / 'page.png').convert('RGB'), int)
  red = (abs(image - (230, 20, 20)).max(-1) < 16).sum()
  assert red > 8 * 60 * 40 * 3 / 4


def test_a_name_would_run_if_it_were_not_escaped(sick, tmp_path):
  _, out, _ = sick
  page = (out / 'found.html').read_text()
  for old, new in (
    ('&lt;', '<'),
    ('&gt;', '>'),
    ('&#34;', '"'),
    ('&#39;', "'"),
  ):
    page = page.replace(old, new)
  (tmp_path / 'guarded.html').write_text(page)
  page = page.replace('Content-Security-Policy', 'none')
  (tmp_path / 'open.html').write_text(page)
  for name, title in (('guarded', 'Dataset '), ('open', 'owned')):
    uri = (tmp_path / f'{name}.html').as_uri()
    dom = browser.show(uri, tmp_path, '--dump-dom')
    assert f'<title>{title}' in dom


def test_health(tmp_path, capsys):
  root = helpers.write_splits(tmp_path / 'clips')
  # They share their seeds: other ones for val.
  shutil.rmtree(root / 'val')
  for number, label in enumerate(('jump', 'run')):
    path = root / 'val' / label / 'a.mp4'
    helpers.write_video(path, seed=900 + number)
  assert main(root, '--cache', tmp_path) == 0
  lines = capsys.readouterr().out.splitlines()
  assert lines[-1] == '0 problems and 0 notes in 22 clips of 2 classes.'
  # With longer clips they are short, which is no problem.
  assert main(root, '--cache', tmp_path, '--num_frames', 16) == 0
  lines = capsys.readouterr().out.splitlines()
  assert lines[-1] == '0 problems and 22 notes in 22 clips of 2 classes.'
  assert '... and 12 more' in ' '.join(lines)


def test_wrong_usage(tmp_path, capsys):
  assert main(tmp_path / 'none', '--cache', tmp_path) == 2
  out, err = capsys.readouterr()
  assert out == '' and err.startswith('error: PATH is ')
  assert err.count('\n') == 1
  source = helpers.write_folder(tmp_path / 'clips', clips=1)
  for args, message in (
    ((), 'Missing: PATH'),
    ((source, '--num_frames', 0), '--num_frames is 0; it must be at least 1'),
    ((source, '--name', 'x'), "NAME is 'x'; choose from ssv1,"),
    ((source, '--json', tmp_path), 'Is a directory'),
  ):
    assert main(*args, '--cache', tmp_path / 'cache') == 2
    assert message in capsys.readouterr().err
