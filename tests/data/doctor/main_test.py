import io
import json
import os
import re
import shutil
import subprocess
import sys
import time

import numpy as np
from PIL import Image
import pytest
from rich import console

from support import browser, decoders, helpers
from tsm_jax.data.clips import videos
from tsm_jax.data.doctor import __main__ as doctor
from tsm_jax.data.doctor import (
  diagnosis,
  examine,
  findings,
  page,
  result_cache,
)

EVIL = '<img src=x onerror="document.title=\'owned\'">'


def run(*args, **kwargs):
  """The command as a process of its own."""
  return subprocess.run(
    [sys.executable, '-m', 'tsm_jax.data.doctor', *map(str, args)],
    capture_output=True,
    text=True,
    timeout=120,
    cwd=helpers.ROOT,
    **kwargs,
  )


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
  done = run(
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


def test_a_published_dataset(tmp_path, capsys):
  root = helpers.write_hmdb51(tmp_path / 'hmdb')
  args = (root, '--name', 'hmdb51', '--cache', tmp_path, '--num_frames', 4)
  out = tmp_path / 'found.json'
  assert main(*args, '--json', out) == 1
  found = json.loads(out.read_text())
  # Its videos are all the same.
  assert [f['kind'] for f in found['findings']] == ['duplicate_split']
  assert '2 classes, where 51 are published' in found['notes']
  (root / 'hmdb51_org' / 'wave' / '0(!).avi').unlink()
  assert main(*args, '--json', out) == 1
  found = json.loads(out.read_text())
  assert found['findings'][0]['clips'] == ['wave/0(!).avi']
  assert found['findings'][0]['kind'] == 'unusable'


@pytest.mark.parametrize('storage', ['frames', 'video'])
def test_a_built_dataset(tmp_path, storage):
  source = helpers.write_folder(tmp_path / 'clips')
  shutil.copy(source / 'run' / '0.mp4', source / 'jump' / 'copy.mp4')
  (source / 'run' / 'empty.mp4').write_bytes(b'')
  path, _ = helpers.build(
    source, tmp_path / 'data', max_excluded=0.2, storage=storage
  )
  out = tmp_path / 'found.json'
  args = (path, '--cache', tmp_path / 'cache', '--json', out)
  assert main(*args, '--html', tmp_path / 'found.html') == 1
  found = json.loads(out.read_text())
  assert found['num_clips'] == 9 and found['source'] == str(path)
  by_clips = {tuple(sorted(f['clips'])): f['kind'] for f in found['findings']}
  kind = by_clips.pop(('jump/copy.mp4', 'run/0.mp4'))
  assert kind in ('duplicate_label', 'duplicate_split')
  assert by_clips == {('run/empty.mp4',): 'unusable'}
  counts = found['classes']
  assert sum(counts['run'].values()) == 4 and sum(counts['jump'].values()) == 5
  page = (tmp_path / 'found.html').read_text()
  assert page.count('<img') == 2 + 2  # the duplicates, one of each class


SCRIPT = """
import os, sys, time
from tsm_jax.data.doctor import __main__ as doctor
from tsm_jax.data.doctor import examine

facts = examine.facts

def work(clip):
  if os.path.basename(clip) == '6.mp4':
    parent = os.getppid()
    while os.getppid() == parent:
      time.sleep(0.1)
  return facts(clip)

if __name__ == '__main__':
  examine.facts = work
  sys.exit(doctor.main(sys.argv[1:]))
"""


def test_a_killed_doctor_continues(tmp_path, monkeypatch):
  (tmp_path / 'script.py').write_text(SCRIPT)
  source = tmp_path / 'clips' / 'run'
  for i in range(10):
    helpers.write_video(source / f'{i}.mp4', seed=i % 9)

  args = (source.parent, '--cache', tmp_path / 'cache')

  def num_known():
    for path in tmp_path.glob('cache/*.sqlite'):
      known = result_cache.ResultCache(path)
      try:
        return len(known)
      finally:
        known.close()
    return 0

  with subprocess.Popen(
    [sys.executable, tmp_path / 'script.py', *args],
    env={**os.environ, 'PYTHONPATH': str(helpers.ROOT)},
  ) as first:
    try:
      until = time.monotonic() + 60
      while num_known() < 6:
        assert time.monotonic() < until and first.poll() is None
        time.sleep(0.05)
    finally:
      first.kill()
  examined, facts = [], examine.facts

  def work(clip):
    examined.append(os.path.basename(clip))
    return facts(clip)

  monkeypatch.setattr(examine, 'facts', work)
  assert main(*args, '--json', tmp_path / 'a.json') == 0
  assert sorted(examined) == ['6.mp4', '7.mp4', '8.mp4', '9.mp4']
  main(
    source.parent, '--cache', tmp_path / 'new', '--json', tmp_path / 'b.json'
  )
  assert (tmp_path / 'a.json').read_text() == (tmp_path / 'b.json').read_text()
  # What has changed is examined anew, the rest is not.
  os.utime(source / '3.mp4', (1, 1))
  examined.clear()
  main(*args)
  assert examined == ['3.mp4']


@pytest.mark.usefixtures('processes')
def test_a_decoder_that_crashes_is_told_and_tried_again(tmp_path, monkeypatch):
  root = helpers.write_folder(tmp_path / 'clips', clips=1)
  args = (root, '--cache', tmp_path / 'cache', '--json', tmp_path / 'a.json')
  with monkeypatch.context() as patch:
    patch.setattr(examine, 'facts', decoders.crash)
    assert main(*args) == 1
  found = json.loads((tmp_path / 'a.json').read_text())['findings']
  assert [f['detail'] for f in found] == [
    'the process that read it crashed',
  ] * 2
  assert main(*args) == 0


def test_names_cannot_move_the_cursor(tmp_path):
  found = diagnosis.Diagnosis(
    source='a\x1b[2Jb',
    findings=[findings.Finding('static', ['[red]x\x1b[1A\n.mp4'], 'ü [/]')],
    splits={},
    classes={'[b]': {'train': 1}},
    notes=['note\x07 [bold]'],
    clips={},
    examples={},
  )
  file = io.StringIO()
  doctor.show(found, console.Console(file=file, width=100))
  text = file.getvalue()
  assert '\x1b' not in text and '\x07' not in text
  assert r'[red]x\x1b[1A\n.mp4' in text and 'ü [/]' in text
  assert r'note\x07 [bold]' in text
  # A page of it, too, although no clip is left to show.
  assert '<img' not in page.render(found)


def test_a_name_that_is_no_text_can_be_written(tmp_path):
  path = tmp_path / 'page.html'
  doctor._write(path, 'a\udcffü')
  assert path.read_text() == 'a\\udcffü'
  assert [p.name for p in tmp_path.iterdir()] == ['page.html']


def test_lists_that_state_another_count(tmp_path):
  (tmp_path / 'category.txt').write_text('a\nb\n')
  (tmp_path / 'train_videofolder.txt').write_text('x 5 0\ny 9 1\nz 9 0\n')
  for seed, (name, count) in enumerate((('x', 9), ('y', 9), ('z', 8))):
    helpers.write_frames(tmp_path / name, count, 'img_{:05d}.jpg', seed=seed)
  out, cache = tmp_path / 'a.json', tmp_path / 'cache'
  flags = ['--name=frame_lists', f'--json={out}', f'--cache={cache}']
  assert doctor.main([str(tmp_path), *flags]) == 1
  found = json.loads(out.read_text())['findings']
  assert [(f['kind'], f['clips'], f['detail']) for f in found] == [
    ('frame_count', ['z'], 'has 8 frames, its list 9'),
    ('cut', ['x'], 'has 9 frames, its list 5'),
  ]


def test_flow(tmp_path, capsys):
  source = tmp_path / 'flow'
  for number, name in enumerate(('a', 'b', 'c', 'd')):
    clip = source / 'run' / name
    helpers.write_flow(clip, 5 - number, mean=(100 + 9 * number, 160))
    helpers.write_frames(clip, 9, 'img_{:05d}.jpg', seed=number)
  (source / 'run' / 'b' / 'flow_y_00002.jpg').write_bytes(b'')
  out, cache = tmp_path / 'a.json', tmp_path / 'cache'
  args = ('--num_frames', 4, '--cache', cache, '--json', out)

  def found(*more):
    status = main(*more, *args)
    content = json.loads(out.read_text())
    assert content['num_clips'] == 4
    return status, {(f['kind'], *f['clips']) for f in content['findings']}

  flow = ('--modality', 'flow', '--html', tmp_path / 'page.html')
  expected = {
    ('damaged', 'run/b'),
    ('short', 'run/b'),
    ('short', 'run/c'),
    ('too_short', 'run/d'),
  }
  assert found(source, *flow) == (1, expected)
  assert (tmp_path / 'page.html').read_text().count('<img') == 4 + 1
  # What is known of the frames beside it is not taken for what is of flow.
  rows = [f'run/{name},run' for name in 'abcd']
  (source / 'list.csv').write_text('\n'.join(['path,label', *rows]))
  assert found(source / 'list.csv') == (0, set())
  assert found(source / 'list.csv', *flow) == (1, expected)

  clips = helpers.write_folder(tmp_path / 'clips', ('run',), 2)
  built, _ = helpers.build(clips, tmp_path / 'data')
  capsys.readouterr()
  assert main(built, '--modality', 'flow') == 2
  assert "--modality is 'flow', but the dataset" in capsys.readouterr().err
