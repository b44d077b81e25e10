"""What cannot be read now may be readable later: no dataset forgets it."""

import functools

import pytest

from support import decoders, helpers
from tsm_jax import errors
from tsm_jax.data import defaults
from tsm_jax.data.clips import workers
from tsm_jax.data.sources import folder
from tsm_jax.data.store import beam, build_report, builder, shards


@pytest.fixture
def plan(tmp_path, monkeypatch):
  monkeypatch.setattr(workers, 'PAUSE', 0)
  monkeypatch.setattr(shards, 'CLIPS_PER_SHARD', 2)
  source = helpers.write_folder(tmp_path / 'clips')
  return builder.Plan(folder.scan(source), source, tmp_path / 'data')


def test_a_file_that_is_away_is_in_the_next_build(plan):
  with pytest.raises(errors.InputError) as caught:
    builder.build(plan._replace(to_record=decoders.without_one))
  assert str(caught.value) == (
    '1 video that was there when the build began could not be read; the '
    'others are done. Start again when it is possible, or without them:\n'
    '  run/1.mp4: cannot be read now: file does not exist'
  )
  assert not plan.path().exists()
  lines = []
  path = builder.build(plan, lines.append)
  assert lines[1].startswith('3 shards of 2 videos are there already')
  report = build_report.read(path)
  assert report['excluded'] == [] and 'passing' not in report
  assert build_report.num_clips(report) == 8
  found = {**helpers.records(path, 'train'), **helpers.records(path, 'val')}
  assert 'run/1.mp4' in found and len(found) == 8


@pytest.mark.usefixtures('processes')
def test_a_decoder_killed_once_excludes_nothing(plan):
  report = builder.write(plan._replace(to_record=decoders.die_once))
  assert report['excluded'] == []
  assert build_report.num_clips(report) == 8


def test_beam_leaves_such_a_shard_to_the_next_try(plan, tmp_path):
  listing = plan.listing
  train = [item for item in listing.items if item.split == 'train']
  work = functools.partial(decoders.without_one, options=defaults.USUAL)
  job = beam.Job(work, listing.labels, 0.0, str(tmp_path / 'shards'))
  for name, items in (('a-of-1', train[:3]), ('b-of-1', train[3:])):
    beam.make(job, shards.Part(name, items))
  names = {item.video_id for item in train[3:]}
  kept = shards.Shards(job.folder)
  assert kept.has('a-of-1') != ('run/1.mp4' not in names)
  assert kept.count() == 1
  assert len(list((tmp_path / 'shards').iterdir())) == 2  # with its report
