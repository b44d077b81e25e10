import functools
import json
import os
import pathlib
import subprocess
import sys

import pytest
import tensorflow_datasets as tfds

from support import helpers
from tsm_jax import errors
from tsm_jax.data import defaults
from tsm_jax.data.clips import codec, pixels
from tsm_jax.data.sources import listings
from tsm_jax.data.store import build_report, dataset, shards, tfds_builder


def all_files(path):
  return sorted(p for p in pathlib.Path(path).rglob('*') if p.is_file())


def test_every_record_is_its_video(tmp_path):
  source = helpers.write_folder(tmp_path / 'clips', ('läuft los', 'a'))
  path, lines = helpers.build(source, tmp_path / 'data', short_side=24)
  assert dataset.open(path).labels == ['a', 'läuft los']
  found = {**helpers.records(path, 'train'), **helpers.records(path, 'val')}
  assert sorted(found) == sorted(
    p.relative_to(source).as_posix() for p in all_files(source)
  )
  for name, record in found.items():
    expected, _ = codec.to_record(
      source / name, defaults.Options(short_side=24)
    )
    assert list(record['frames']) == expected['frames']
    assert pixels.decode_jpeg(record['frames'][0]).shape == (24, 36, 3)
    assert {k: record[k] for k in ('num_frames', 'height', 'width', 'fps')} == {
      'num_frames': 12,
      'height': 24,
      'width': 36,
      'fps': 24,
    }
    assert record['label'] == (0 if name.startswith('a/') else 1)
  report = dataset.open(path).report
  assert report['num_frames'] == {
    split: [12] * len(helpers.records(path, split))
    for split in ('train', 'val')
  }
  assert 'Dataset clips-' in lines[-1] and '2 classes' in lines[-1]


def test_tfds_keeps_every_name_that_is_accepted(tmp_path):
  labels = ['', ' a', 'a\tb', 'a\nb', 'a, "b" \\n', 'größer', 'a  b', '10', '9']
  labels = [label for label in labels if not listings.problem(label)]
  assert len(labels) == 5
  features = tfds_builder.features(labels)
  features.save_config(tmp_path)
  read = tfds.features.FeaturesDict.from_config(tmp_path)
  assert read['label'].names == features['label'].names == labels


def test_a_list_may_name_folders_of_images(tmp_path):
  frames = helpers.write_frames(tmp_path / 'frames' / 'run 1', 5)
  helpers.write_video(tmp_path / 'jump.mp4')
  (tmp_path / 'frames' / 'none').mkdir()
  rows = ['path,label,split', 'frames/run 1,run,train', 'jump.mp4,jump,train']
  rows.append('frames/none,run,train')
  (tmp_path / 'list.csv').write_text('\n'.join(rows))
  path, _ = helpers.build(
    tmp_path / 'list.csv', tmp_path / 'data', max_excluded=0.4
  )
  found = helpers.records(path, 'train')
  assert sorted(found) == ['frames/run 1', 'jump.mp4']
  record = found['frames/run 1']
  assert record['frames'][4] == (frames / '00005.jpg').read_bytes()
  assert record['num_frames'] == 5 and record['fps'] == 0  # unknown
  excluded = dataset.open(path).report['excluded']
  assert excluded == [['frames/none', 'holds no numbered image']]


def test_what_is_not_used_is_listed_with_its_reason(tmp_path):
  source = helpers.write_folder(tmp_path / 'clips')
  (source / 'run' / 'empty.mp4').write_bytes(b'')
  (source / 'run' / 'text.mp4').write_text('no video')
  (source / 'run' / 'readme.txt').write_text('notes')
  helpers.write_video(source / 'nowhere.mp4')
  cut = helpers.write_video(source / 'run' / 'cut.mkv', 40)
  cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
  found = [p.relative_to(source).as_posix() for p in all_files(source)]
  path, lines = helpers.build(source, tmp_path / 'data', max_excluded=0.5)
  report = dataset.open(path).report
  excluded = dict(report['excluded'])
  assert excluded.pop('run/cut.mkv').startswith('ends after ')
  assert excluded.pop('run/text.mp4').startswith('not a readable video')
  assert excluded == {
    'run/empty.mp4': 'file is empty (0 bytes)',
    'nowhere.mp4': 'has no label',
  }
  assert '  not used: run/empty.mp4: file is empty (0 bytes)' in lines
  used = [*helpers.records(path, 'train'), *helpers.records(path, 'val')]
  ignored = [note.split(' was ignored')[0] for note in report['notes']]
  names = [name for name, _ in report['excluded']]
  assert sorted(used + names + ignored) == found


def test_damage_that_is_used_is_reported(tmp_path):
  source = helpers.write_folder(tmp_path / 'clips', clips=2)
  path = helpers.write_video(source / 'run' / 'a.mkv', 80, (64, 64))
  path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.95)])
  built, lines = helpers.build(source, tmp_path / 'data')
  ((name, damage),) = dataset.open(built).report['damaged']
  assert name == 'run/a.mkv' and damage.startswith('ends after 3.')
  assert f'  used, but damaged: run/a.mkv: {damage}' in lines
  split = 'train' if name in helpers.records(built, 'train') else 'val'
  assert 72 <= helpers.records(built, split)[name]['num_frames'] < 80


def test_nothing_usable_stops_the_build(tmp_path):
  for name in ('run/1.mp4', 'jump/2.mp4'):
    (tmp_path / 'clips' / name).parent.mkdir(parents=True)
    (tmp_path / 'clips' / name).write_bytes(b'')
  with pytest.raises(errors.InputError, match=r'2 of 2 videos cannot be used'):
    helpers.build(tmp_path / 'clips', tmp_path / 'data', max_excluded=1)


def test_a_split_without_a_usable_video(tmp_path):
  source = helpers.write_folder(tmp_path / 'clips' / 'train').parent
  for name in ('run', 'jump'):
    (source / 'val' / name).mkdir(parents=True)
    (source / 'val' / name / '1.mp4').write_bytes(b'')
  path, _ = helpers.build(source, tmp_path / 'data', max_excluded=0.5)
  assert len(helpers.records(path, 'train')) == 8
  with pytest.raises(errors.InputError, match=r"no clip in the split 'val'"):
    dataset.open(path).split('val')


def test_a_second_call_finds_the_dataset(tmp_path):
  source = helpers.write_folder(tmp_path / 'clips')
  path, lines = helpers.build(source, tmp_path / 'data')
  before = {p: p.stat().st_mtime_ns for p in all_files(path)}
  again, lines_again = helpers.build(source, tmp_path / 'data')
  assert again == path
  assert {p: p.stat().st_mtime_ns for p in all_files(path)} == before
  assert lines[0].startswith('Building') and lines_again == lines[1:]
  itself, _ = helpers.build(path, tmp_path / 'other')
  assert itself == path and not (tmp_path / 'other').exists()
  # What is ignored is no part of it, but still told.
  (source / 'run' / 'new.txt').write_text('')
  noted, lines = helpers.build(source, tmp_path / 'data')
  assert noted == path and 'run/new.txt was ignored' in lines[-1]


def test_what_changes_the_content_is_another_dataset(tmp_path):
  source = helpers.write_folder(tmp_path / 'clips')
  build = functools.partial(helpers.build, source, tmp_path / 'data')
  paths = [build()[0], build(quality=80)[0], build(short_side=16)[0]]
  paths.append(build(holdout=0.6)[0])
  helpers.write_video(source / 'run' / 'new.mp4')
  paths.append(build()[0])
  (source / 'run' / 'new.mp4').rename(source / 'jump' / 'new.mp4')
  paths.append(build()[0])
  helpers.write_video(source / 'jump' / 'new.mp4', num_frames=13)
  paths.append(build()[0])
  helpers.write_video(source / 'no_class.mp4')
  paths.append(build(max_excluded=0.5)[0])
  assert len(set(paths)) == len(paths)


def test_more_clips_than_a_shard_holds(tmp_path, monkeypatch):
  monkeypatch.setattr(shards, 'CLIPS_PER_SHARD', 2)
  source = helpers.write_folder(tmp_path / 'clips')
  held = []
  write = tfds_builder.VideoFolder._shard

  def shard(self, items):
    kept = []
    for name, record in write(self, items):
      kept.append(record)
      yield name, record
    held.extend(len(record) for record in kept)

  monkeypatch.setattr(tfds_builder.VideoFolder, '_shard', shard)
  path, _ = helpers.build(source, tmp_path / 'data')
  assert (
    len(helpers.records(path, 'train')) + len(helpers.records(path, 'val')) == 8
  )
  assert len(list(path.glob('*.array_record*'))) >= 4
  assert held == [0] * 8  # TFDS keeps all of a shard; only shells are left


def test_long_lists_are_shortened_for_people():
  report = {
    'name': 'clips',
    'labels': ['run'],
    'num_frames': {'train': [3]},
    'excluded': [[f'{i}.mp4', 'is broken'] for i in range(23)],
    'damaged': [],
    'notes': ['odd'],
  }
  assert list(build_report.describe(report)) == [
    'Dataset clips: 1 train; 1 classes.',
    *(f'  not used: {i}.mp4: is broken' for i in range(20)),
    '  ... and 3 more, listed in build_report.json',
    '  note: odd',
  ]


SCRIPT = """
import functools, json, sys
from tsm_jax.data.clips import codec
from tsm_jax.data import defaults

def work(path, log, **options):
  found = [m for m in ('jax', 'tensorflow', 'tensorflow_datasets')
           if m in sys.modules]
  with open(log, 'a') as file:
    file.write(json.dumps(found) + '\\n')
  return codec.to_record(path, **options)

if __name__ == '__main__':
  from tsm_jax.data.store import builder, dataset
  import script  # where its processes find the function

  work = functools.partial(script.work, log=sys.argv[2])
  builder.Plan = functools.partial(builder.Plan, to_record=work)
  built = dataset.prepare(json.loads(sys.argv[1]), log=lambda line: None)
  record = built.split('train')[0]
  assert len(record['frames']) == 12
  print('tensorflow' in sys.modules)
"""


def test_neither_tensorflow_nor_jax_where_they_are_not_needed(tmp_path):
  source = helpers.write_folder(tmp_path / 'clips')
  (tmp_path / 'script.py').write_text(SCRIPT)
  config = {**helpers.DATA, 'source': str(source)}
  config['data_dir'] = str(tmp_path / 'data')
  log = tmp_path / 'log'
  done = subprocess.run(
    [sys.executable, tmp_path / 'script.py', json.dumps(config), log],
    capture_output=True,
    text=True,
    timeout=120,
    env={**os.environ, 'PYTHONPATH': os.getcwd()},
  )
  assert done.returncode == 0, done.stderr
  assert done.stdout.splitlines()[-1] == 'False'
  assert log.read_text().splitlines() == ['[]'] * 8
