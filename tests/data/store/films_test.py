"""Datasets of parts of long videos: each video is decoded once."""

import functools
import json
import os
import pickle
import re
import shutil

import numpy as np
import pytest

from support import helpers, listed
from tsm_jax import errors
from tsm_jax.data import build, defaults, fingerprint
from tsm_jax.data.clips import codec, videos, workers
from tsm_jax.data.clips.films import parts
from tsm_jax.data.sources import folder, segments
from tsm_jax.data.store import beam, builder, dataset, films, shards

COLUMNS = ('path', 'label', 'split', 'start', 'end')
PARTS = {
  'a.mp4': ('train', [(0, 1), (1, 2.5), (4, 6.25), (7, '')]),
  'b.mp4': ('train', [('', 0.5), (3, 4), (3.5, 5)]),
  'c.mp4': ('val', [(2, 3)]),
}


def write(root, found=PARTS):
  """Eight seconds of video each, ten frames in a second, and their list."""
  rows = []
  for seed, (name, (split, times)) in enumerate(found.items()):
    helpers.write_video(root / name, 80, size=(16, 24), seed=seed, fps=10)
    rows += [
      (name, f'class {i % 2}', split, *time) for i, time in enumerate(times)
    ]
  return listed.write_csv(root / 'films.csv', rows, COLUMNS)


@pytest.fixture(scope='module')
def source(tmp_path_factory):
  return write(tmp_path_factory.mktemp('films'))


@pytest.fixture
def decoded(monkeypatch):
  """The names of the videos that are decoded, as often as they are."""
  found = []
  read = parts.read

  def noted(path, *args, **kwargs):
    found.append(os.path.basename(path))
    return read(path, *args, **kwargs)

  monkeypatch.setattr(parts, 'read', noted)
  return found


def name(video, start, end):
  part = segments.Segment(start or 0, end or None)
  return f'{video}@{part}'


@pytest.mark.parametrize('storage, per_shard', [('frames', 2), ('video', 128)])
def test_every_record_is_its_part(
  source, tmp_path, monkeypatch, decoded, storage, per_shard
):
  monkeypatch.setattr(shards, 'CLIPS_PER_SHARD', per_shard)
  path, _ = helpers.build(source, tmp_path / 'data', storage=storage)
  assert sorted(decoded) == ['a.mp4', 'b.mp4', 'c.mp4']
  built = dataset.open(path)
  options = defaults.Options(storage=storage)
  whole = {name: videos.read(source.parent / name).frames for name in PARTS}
  for split in ('train', 'val'):
    records = list(built.split(split))
    expected = [
      (video, i, start or 0, end or 8)
      for video, (of, times) in PARTS.items()
      if of == split
      for i, (start, end) in enumerate(times)
    ]
    for record, (video, i, start, end) in zip(records, expected, strict=True):
      writer = codec.Writer(options)
      for image in whole[video][round(10 * start) : int(np.ceil(10 * end))]:
        writer.add(image)
      assert list(record['frames']) == writer.end()
      stated = segments.Segment(start, PARTS[video][1][i][1] or None)
      assert record['video_id'].decode() == f'{video}@{stated}'
      assert built.labels[record['label']] == f'class {i % 2}'
    assert built.num_frames[split] == [len(r['frames']) for r in records]
    assert built.seconds[split] == [len(r['frames']) / 10 for r in records]
  assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_what_is_built_is_kept(source, tmp_path, monkeypatch, decoded):
  """A build that breaks off decodes the films of finished shards no more."""
  monkeypatch.setattr(shards, 'CLIPS_PER_SHARD', 2)
  read, config = films.read, {**helpers.DATA, 'source': str(source)}
  config['data_dir'] = str(tmp_path)

  def interrupted(argument, *args, **kwargs):
    if argument.path.endswith('b.mp4'):
      raise KeyboardInterrupt
    return read(argument, *args, **kwargs)

  monkeypatch.setattr(films, 'read', interrupted)
  with pytest.raises(KeyboardInterrupt):
    dataset.prepare(config, log=lambda line: None)
  monkeypatch.setattr(films, 'read', read)
  left = {path.name for path in tmp_path.glob('video_folder/films-*/*')}
  assert left == {'1.0.0.shards_of_2'}
  built = dataset.prepare(config, log=lambda line: None)
  assert decoded == ['a.mp4', 'b.mp4', 'c.mp4']
  assert {split: len(n) for split, n in built.seconds.items()} == {
    'train': 7,
    'val': 1,
  }


def test_what_cannot_be_used_is_told_by_part(tmp_path):
  times = [(1, 2), (7, 8.5), (7, 9.5), (9, 10), (2.01, 2.05)]
  source = write(tmp_path, {'a.mp4': ('train', times)})
  (tmp_path / 'b.mp4').write_bytes(b'no film')
  with open(source, 'a') as file:
    file.write('b.mp4,x,train,1,2\nb.mp4,x,train,3,4\nc.mp4,x,train,1,2\n')
  path, _ = helpers.build(source, tmp_path / 'data', max_excluded=0.9)
  report = dataset.open(path).report
  why = 'not a readable video: Invalid data found when processing input'
  assert report['excluded'] == [
    ['c.mp4@1-2', 'file does not exist'],
    ['a.mp4@2.01-2.05', 'no frame is in it'],
    ['a.mp4@7-8.5', 'ends at 8.50 s, but the video at 8.00 s'],
    ['a.mp4@7-9.5', 'ends at 9.50 s, but the video at 8.00 s'],
    ['a.mp4@9-10', 'begins at 9.00 s, but the video ends at 8.00 s'],
    ['b.mp4@1-2', why],
    ['b.mp4@3-4', why],
  ]
  with pytest.raises(errors.InputError, match=r'7 of 8 videos cannot be used'):
    helpers.build(source, tmp_path / 'data', max_excluded=0.5)


def test_a_crash_costs_a_film(source, tmp_path, monkeypatch):
  def outcomes(self, arguments):
    for argument in arguments:
      crashed = argument.path.endswith('b.mp4')
      yield (None, workers.CRASHED) if crashed else (self._work(argument), '')

  monkeypatch.setattr(workers.Workers, 'outcomes', outcomes)
  path, _ = helpers.build(source, tmp_path, max_excluded=0.5)
  assert dataset.open(path).report['excluded'] == [
    [name('b.mp4', *time), workers.CRASHED] for time in PARTS['b.mp4'][1]
  ]


def test_a_full_disk_is_no_fault_of_the_film(source, tmp_path):
  (tmp_path / 'full').write_bytes(b'')  # no folder can be made of it
  film = films.Film(str(source.parent / 'a.mp4'), (segments.Segment(0, 1),))
  with pytest.raises(videos.PassingError, match='took no more'):
    films.read(
      film, codec.to_record, defaults.USUAL, 'rgb', str(tmp_path / 'full')
    )


def test_only_what_waits_for_the_reader_is_on_the_disk(source, tmp_path):
  arguments = [
    films.Film(
      str(source.parent / video),
      tuple(segments.Segment(start or 0, end or 8) for start, end in times),
    )
    for video, (_, times) in PARTS.items()
  ]
  work = functools.partial(
    films.read,
    to_record=codec.to_record,
    options=defaults.USUAL,
    modality='rgb',
    folder=str(tmp_path / 'waiting'),
  )
  # As what goes to a process and comes back.
  work, arguments = pickle.loads(pickle.dumps((work, arguments)))
  results = (pickle.loads(pickle.dumps((work(x), ''))) for x in arguments)
  found = films.outcomes(arguments, results)
  for _, ((record, _), reason) in found:
    assert record['num_frames'] and reason == ''
    assert len(list((tmp_path / 'waiting').iterdir())) == 1
  assert not list((tmp_path / 'waiting').iterdir())


def test_shards_hold_whole_videos(monkeypatch):
  monkeypatch.setattr(shards, 'CLIPS_PER_SHARD', 4)
  part = segments.Segment(0, 1)
  items = [
    shards.listings.Item(video, f'{video}@{i}', 'x', 'train', 0, part)
    for video, count in (('a', 2), ('b', 2), ('c', 1), ('d', 6), ('e', 1))
    for i in range(count)
  ]
  items = [
    item._replace(segment=part._replace(start=i), video_id=f'{item.path}@{i}-1')
    for i, item in enumerate(items)
  ]
  whole = [shards.listings.Item(str(i), str(i), 'x', 'train') for i in range(9)]
  found = [
    ''.join(i.path for i in some) for some in shards.parts(items + whole)
  ]
  assert found == ['aabb', 'c', 'dddddd', 'e012', '3456', '78']


def test_beam_makes_the_same_shards(source, tmp_path, decoded, monkeypatch):
  """What its workers do, in this process."""
  path, _ = helpers.build(source, tmp_path / 'data')
  made = {p.name: p.read_bytes() for p in path.glob('*.array_record*')}
  decoded.clear()
  pool = workers.Workers
  monkeypatch.setattr(
    workers, 'Workers', lambda work, size, limit: pool(work, 0)
  )
  listing = folder.scan(source)
  work = functools.partial(
    films.read,
    to_record=codec.to_record,
    options=defaults.USUAL,
    modality='rgb',
    folder=str(tmp_path / 'waiting'),
  )
  job = beam.Job(work, listing.labels, 0.0, str(tmp_path / 'shards'))
  for file in made:
    split = re.search('-(train|val)', file)[1]
    items = [item for item in listing.items if item.split == split]
    assert beam.make(job, shards.Part(file, items)) == file
    assert (tmp_path / 'shards' / file).read_bytes() == made[file]
  assert sorted(decoded) == ['a.mp4', 'b.mp4', 'c.mp4']


def test_background_is_in_the_name(source, tmp_path):
  plain, _ = helpers.build(source, tmp_path)
  path, _ = helpers.build(source, tmp_path, background='idle')
  built = dataset.open(path)
  assert built.labels == ['class 0', 'class 1', 'idle'] and path != plain
  records = helpers.records(path, 'train')
  idle = [r for r in records.values() if built.labels[r['label']] == 'idle']
  assert 1 <= len(idle) <= 3
  other, _ = helpers.build(source, tmp_path, background='idle', holdout_seed=1)
  assert other not in (path, plain)
  again, _ = helpers.build(source, tmp_path, background='idle')
  assert again == path
  same, _ = helpers.build(path, tmp_path, background='idle')
  assert same == path
  with pytest.raises(errors.InputError, match='was built without it'):
    helpers.build(plain, tmp_path, background='idle')


def test_the_command_takes_background(source, tmp_path, capsys):
  arguments = ['--manual_dir', str(source), '--data_dir', str(tmp_path)]
  build.main(['folder', *arguments, '--background', 'idle'])
  assert '3 classes' in capsys.readouterr().out
  with pytest.raises(SystemExit):
    build.main(['ucf101', *arguments, '--background', 'idle'])
  assert "--background is 'idle'; only a 'folder'" in capsys.readouterr().err


def test_the_fingerprint_names_parts(source, tmp_path):
  config = helpers.tiny_config(source, tmp_path / 'data')
  config.data.background = 'idle'
  fingerprint.write(config, tmp_path / 'found.json')
  found = json.loads((tmp_path / 'found.json').read_text())
  clip = found['clips'][0]
  assert clip['video_id'] == 'c.mp4@2-3' and clip['num_frames'] == 10


def test_the_need_of_disk_is_that_of_the_parts(tmp_path, monkeypatch):
  times = [(i / 4, i / 4 + 0.5) for i in range(28)]
  source = write(
    tmp_path, {'a.mp4': ('train', times), 'b.mp4': ('val', [(0, 2)])}
  )
  told = []
  config = {**helpers.DATA, 'source': str(source), 'data_dir': str(tmp_path)}
  monkeypatch.setattr(
    shutil, 'disk_usage', lambda path: shutil._ntuple_diskusage(0, 0, 1000)
  )
  with pytest.raises(errors.InputError, match=r'has 1\.0 kB free'):
    dataset.prepare(config, log=told.append)
  needed = float(re.search(r'about ([\d.]+) kB', told[-1])[1])
  monkeypatch.undo()
  path = dataset.prepare(config, log=told.append).path
  found = sum(
    len(frame)
    for split in ('train', 'val')
    for record in dataset.open(path).split(split)
    for frame in record['frames']
  )
  assert 0.8 < needed * 1e3 / found < 1.2


def test_older_reports_state_no_seconds(source, tmp_path):
  path, _ = helpers.build(source, tmp_path)
  file = path / 'build_report.json'
  report = json.loads(file.read_text())
  stated = report.pop('seconds')
  file.write_text(json.dumps(report))
  for split, seconds in dataset.open(path).seconds.items():
    np.testing.assert_allclose(seconds, stated[split])
  file.write_text(json.dumps({**report, 'seconds': {'train': [1]}}))
  with pytest.raises(errors.InputError, match="'seconds' of other splits"):
    dataset.open(path)
  bad = {**stated, 'val': ['1']}
  file.write_text(json.dumps({**report, 'seconds': bad}))
  with pytest.raises(errors.InputError, match='lengths of clips'):
    dataset.open(path)


def test_plan_is_unchanged_by_what_is_new(tmp_path):
  """Of clips that are no parts, names are those of before."""
  item = shards.listings.Item(tmp_path, 'a', 'x', 'train')
  listing = shards.listings.Listing([item], ['x'], [], [])
  one = builder.Plan(listing, 's', tmp_path)
  other = builder.Plan(listing._replace(listed=[item]), 's', tmp_path)
  assert one.name() == other.name()
