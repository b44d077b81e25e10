"""Builds that are killed, interrupted or crash."""

import pathlib

import pytest

from support import decoders, helpers
from tsm_jax import errors
from tsm_jax.data import defaults
from tsm_jax.data.clips import codec, workers
from tsm_jax.data.sources import folder
from tsm_jax.data.store import build_report, builder


def all_files(path):
  return sorted(p for p in pathlib.Path(path).rglob('*') if p.is_file())


def test_too_many_unusable_videos_stop_the_build(tmp_path):
  source = helpers.write_folder(tmp_path / 'clips')
  (source / 'run' / 'empty.mp4').write_bytes(b'')
  helpers.write_video(source / 'nowhere.mp4')
  with pytest.raises(errors.InputError) as caught:
    helpers.build(source, tmp_path / 'data', max_excluded=0.19)
  assert str(caught.value) == (
    '2 of 10 videos cannot be used, a share of 0.200, and data.max_excluded is '
    '0.19:\n  nowhere.mp4: has no label\n  run/empty.mp4: file is empty (0 '
    'bytes)'
  )
  (left,) = (tmp_path / 'data' / 'video_folder').glob('*/*')
  assert left.name == '1.0.0.shards_of_128'  # for a second try, no dataset
  helpers.build(source, tmp_path / 'data', max_excluded=0.2)
  with pytest.raises(errors.InputError, match=r'2 of 10 videos'):
    helpers.build(source, tmp_path / 'data', max_excluded=0.19)
  path, _ = helpers.build(source, tmp_path / 'data', max_excluded=0.2)
  assert len(helpers.records(path, 'train')) > 0  # the refusal has kept it


@pytest.mark.parametrize('left', ['no report', 'half a report'])
def test_a_build_killed_before_its_report_is_made_again(tmp_path, left):
  source = helpers.write_folder(tmp_path / 'clips')
  path, _ = helpers.build(source, tmp_path / 'data')
  text = (path / build_report.NAME).read_text()
  (path / build_report.NAME).unlink()
  if left == 'half a report':
    (path / f'{build_report.NAME}.unfinished').write_text(text[:20])
  garbage = path.parent / '1.0.0.incompleteX' / 'shard'
  garbage.parent.mkdir()
  garbage.write_bytes(b'half')
  again, lines = helpers.build(source, tmp_path / 'data')
  assert again == path and lines[0].startswith('Building')
  assert (path / build_report.NAME).read_text() == text
  assert not garbage.exists()
  assert (
    len(helpers.records(path, 'train')) + len(helpers.records(path, 'val')) == 8
  )


def test_an_interrupted_build_leaves_nothing(tmp_path, monkeypatch):
  source = helpers.write_folder(tmp_path / 'clips')

  def interrupt(self, arguments):
    yield codec.to_record(arguments[0], defaults.Options(short_side=32)), ''
    raise KeyboardInterrupt

  with monkeypatch.context() as patch:
    patch.setattr(workers.Workers, 'outcomes', interrupt)
    with pytest.raises(KeyboardInterrupt):
      helpers.build(source, tmp_path / 'data')
  (left,) = all_files(tmp_path / 'data')
  assert left.suffix == '.lock'
  helpers.build(source, tmp_path / 'data')


@pytest.mark.usefixtures('processes')
def test_a_decoder_that_crashes_is_reported_by_name(tmp_path):
  source = helpers.write_folder(tmp_path / 'clips')
  listing = folder.scan(source)
  plan = builder.Plan(
    listing, source, tmp_path / 'data', to_record=decoders.crash_on_two
  )
  report = builder.write(plan)
  assert sorted(report['excluded']) == [
    ['jump/3.mp4', workers.CRASHED],
    ['run/1.mp4', workers.CRASHED],
  ]
  path = plan.path()
  build_report.write(path, report)
  found = {**helpers.records(path, 'train'), **helpers.records(path, 'val')}
  assert len(found) == 6
  for name, record in found.items():
    expected, _ = codec.to_record(source / name)
    assert list(record['frames']) == expected['frames']
