import functools
import os
import pathlib
import subprocess
import sys
import time

import pytest
import tensorflow_datasets as tfds

from support import commands, helpers
from tsm_jax.data import build
from tsm_jax.data.clips import codec
from tsm_jax.data.store import build_report, builder, dataset, shards


def fails(capsys, *args):
  with pytest.raises(SystemExit) as caught:
    build.main([str(arg) for arg in args])
  assert caught.value.code == 2
  return capsys.readouterr().err


def test_the_command_builds_what_training_reads(tmp_path):
  root = helpers.write_hmdb51(tmp_path / 'HMDB 51 (ü)')
  args = ('hmdb51', '--manual_dir', root, '--data_dir', tmp_path / 'data')
  options = ('--short_side', 24, '--quality', 80)
  done = commands.run(commands.command('data.build', *args, *options))
  assert done.returncode == 0, done.stderr
  *lines, last = done.stdout.splitlines()
  assert lines[0].startswith('Building ') and '6 videos' in lines[0]
  assert '  note: 2 classes, where 51 are published' in lines
  assert lines[1].endswith(': 4 train, 2 val; 2 classes.')
  start = 'Train on it with --config.data.source='
  path = pathlib.Path(last.removeprefix(start))
  assert last.startswith(start) and path.parents[1].name == 'video_folder'
  assert path.parent.name.startswith('hmdb51_1-')
  config = {**helpers.DATA, 'source': str(path)}
  assert dataset.prepare(config, log=lines.append).path == path
  assert dataset.open(path).labels == ['a jump', 'wave']
  source = dataset.open(path).split('train')
  assert len(source) == 4 and source[0]['height'] == 24
  report = dataset.open(path).report
  assert report['options'] == {
    'short_side': 24,
    'quality': 80,
    'storage': 'frames',
    'fps': 0.0,
  }
  assert report['source'] == str(root)
  # The same is where TFDS keeps such things.
  info = tfds.builder_from_directory(path).info
  assert dict(info.metadata) == report['options']


def test_your_own_folder(tmp_path, capsys):
  root = helpers.write_folder(tmp_path / 'clips', clips=2)
  labels = tmp_path / 'labels.txt'
  labels.write_text('run\njump\n')
  args = ['folder', '--manual_dir', str(root), '--data_dir', str(tmp_path)]
  build.main([*args, '--labels', str(labels)])
  path = capsys.readouterr().out.splitlines()[-1].partition('source=')[2]
  assert dataset.open(path).labels == ['run', 'jump']
  message = fails(capsys, *args, '--split', 2)
  assert message.startswith("error: --split is 2; a 'folder' has no")


def test_mistakes_are_explained(tmp_path, capsys):
  where = ('--manual_dir', tmp_path, '--data_dir', tmp_path / 'data')
  assert fails(capsys, 'kinetics', *where).startswith(
    "error: NAME is 'kinetics'; choose from ssv1, ssv2, kinetics400, "
  )
  assert 'holds no ucfTrainTestlist' in fails(capsys, 'ucf101', *where)
  assert '--manual_dir' in fails(capsys, 'ucf101')
  for name, value, message in (
    ('short_side', 0, 'is 0; it must be from 1 to 10000'),
    ('quality', 101, 'is 101; it must be from 1 to 100'),
    ('max_excluded', 2.0, 'is 2.0; it must be from 0 to 1'),
    ('labels', 'l.txt', "is 'l.txt'; only a 'folder' takes it"),
  ):
    found = fails(capsys, 'ucf101', *where, f'--{name}', value)
    assert found == f'error: --{name} {message}.\n'
  assert not (tmp_path / 'data').exists()
  none = fails(capsys, 'folder', '--manual_dir', tmp_path / 'x')
  assert none.startswith("error: --manual_dir is '")
  root = helpers.write_folder(tmp_path / 'clips', clips=1)
  (tmp_path / 'file').write_text('')
  for place in (tmp_path / 'file', '/proc/none'):
    args = ('folder', '--manual_dir', root, '--data_dir', place)
    found = fails(capsys, *args)
    assert found.startswith('error: ') and str(place) in found
    assert found.count('\n') == 1


def test_a_source_is_called_what_it_was_called(tmp_path, capsys):
  where = ('--data_dir', tmp_path / 'data')
  found = fails(capsys, 'folder', '--manual_dir', tmp_path / 'none', *where)
  assert found.startswith('error: --manual_dir is ')


def test_a_place_that_cannot_be_written_is_explained(tmp_path, capsys):
  root = helpers.write_folder(tmp_path / 'clips', clips=2)
  (tmp_path / 'file').write_text('')
  for place in (tmp_path / 'file', '/proc/nope'):
    found = fails(capsys, 'folder', '--manual_dir', root, '--data_dir', place)
    assert f'error: data_dir is {str(place)!r}, in which nothing' in found
    assert 'Traceback' not in found
  (tmp_path / 'a.json').write_text('[{"path": "a\\u0000.mp4", "label": "x"}]')
  found = fails(
    capsys,
    *('folder', '--manual_dir', tmp_path / 'a.json'),
    *('--data_dir', tmp_path / 'data'),
  )
  assert "has the path 'a\\x00.mp4', which holds a NUL" in found


def test_too_many_missing_videos_stop_it_before_any_is_decoded(
  tmp_path, capsys, monkeypatch
):
  root = helpers.write_hmdb51(tmp_path)
  (root / 'hmdb51_org' / 'wave' / '1(!).avi').unlink()
  monkeypatch.setattr(builder, 'write', None)
  args = ('hmdb51', '--manual_dir', root, '--data_dir', tmp_path / 'data')
  message = fails(capsys, *args)
  assert '1 of 6 videos cannot be used' in message
  assert '  wave/1(!).avi: file does not exist' in message


SCRIPT = """
import functools, os, sys, time
from tsm_jax.data import build
from tsm_jax.data.clips import codec
from tsm_jax.data.store import builder, shards

def work(path, **options):
  if os.path.basename(path) == '5(!).avi':
    parent = os.getppid()
    while os.getppid() == parent:
      time.sleep(0.1)
  return codec.to_record(path, **options)

if __name__ == '__main__':
  shards.CLIPS_PER_SHARD = 3
  import script  # where its processes find the function

  builder.Plan = functools.partial(builder.Plan, to_record=script.work)
  build.main(sys.argv[1:])
"""


def test_a_killed_build_continues(tmp_path, monkeypatch, capsys):
  (tmp_path / 'script.py').write_text(SCRIPT)
  root = helpers.write_hmdb51(tmp_path / 'hmdb', clips=6)
  (root / 'hmdb51_org' / 'a jump' / '1(!).avi').write_bytes(b'')
  args = ['hmdb51', '--manual_dir', str(root), '--max_excluded', '0.1']
  args.append('--data_dir')

  with subprocess.Popen(
    [sys.executable, tmp_path / 'script.py', *args, tmp_path / 'data'],
    env={**os.environ, 'PYTHONPATH': str(helpers.ROOT)},
  ) as first:
    try:
      until = time.monotonic() + 60
      # A shard of three is whole, the video that hangs is in the second.
      while not list(tmp_path.glob('data/*/*/*/*-00000-of-00004')):
        assert time.monotonic() < until and first.poll() is None
        time.sleep(0.05)
    finally:
      first.kill()
  assert not list(tmp_path.glob(f'data/**/{build_report.NAME}'))

  decoded = []

  def work(path, **options):
    decoded.append(path)
    return codec.to_record(path, **options)

  monkeypatch.setattr(shards, 'CLIPS_PER_SHARD', 3)
  with monkeypatch.context() as patch:
    plan = functools.partial(builder.Plan, to_record=work)
    patch.setattr(builder, 'Plan', plan)
    build.main([*args, str(tmp_path / 'data')])
  lines = capsys.readouterr().out.splitlines()
  assert lines[1] == '1 shards of 3 videos are there already.'
  assert '  not used: a jump/1(!).avi: file is empty (0 bytes)' in lines
  assert len(decoded) == 14 - 3
  found = path_in(lines)
  assert [p.name for p in found.parent.iterdir()] == ['1.0.0']

  build.main([*args, str(tmp_path / 'other')])
  other = path_in(capsys.readouterr().out.splitlines())
  assert found != other and contents(found) == contents(other)
  assert len(dataset.open(found).split('train')) == 11


def path_in(lines):
  return pathlib.Path(lines[-1].partition('source=')[2])


def contents(path):
  """All that a dataset holds; the bytes of a record are not deterministic."""
  texts = {
    p.name: p.read_text()
    for p in path.iterdir()
    if 'array_record' not in p.name
  }
  clips = [
    {**record, 'frames': list(record['frames'])}
    for split in ('train', 'val')
    for record in dataset.open(path).split(split)
  ]
  return sorted(p.name for p in path.iterdir()), texts, clips


def test_a_file_system_without_links(tmp_path, monkeypatch):
  def link(source, target):
    raise PermissionError(1, 'Operation not permitted')

  monkeypatch.setattr(os, 'link', link)
  source = helpers.write_folder(tmp_path / 'clips', clips=2)
  path, _ = helpers.build(source, tmp_path / 'data')
  assert len(dataset.open(path).split('train')) == 2
  assert [p.name for p in path.parent.iterdir()] == ['1.0.0']


def test_a_folder_without_val_says_how_to_train_on_it(tmp_path, capsys):
  for split in ('train', 'test'):
    helpers.write_folder(tmp_path / 'in' / split, clips=1, num_frames=2)
  data = ['--data_dir', str(tmp_path / 'data')]
  assert build.main(
    ['folder', '--manual_dir', str(tmp_path / 'in'), *data]
  ) in (
    0,
    None,
  )
  last = capsys.readouterr().out.splitlines()[-1]
  assert last.startswith('Train on it with --config.data.source=')
  assert last.endswith(' --config.eval.split=test')
