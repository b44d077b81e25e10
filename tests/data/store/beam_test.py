"""Builds by Apache Beam, in processes of their own: Beam warns a lot."""

import importlib.util
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from support import helpers, lacking
from tsm_jax.data import build
from tsm_jax.data.store import build_report, dataset

pytestmark = [
  pytest.mark.slow,
  # Of the protobuf that Beam needs, about how TFDS uses it.
  pytest.mark.filterwarnings(r'ignore:label\(\) is deprecated'),
]

# Seconds after which a build hangs; in .ci/run others go first.
PATIENCE = 900

# Beam's workers import it by its name.
WORK = """
import os, time
from tsm_jax.data.clips import codec

def work(path, **options):
  name = '/'.join(path.split('/')[-2:])
  with open(os.environ['LOG'], 'a') as file:
    file.write(name + '\\n')
  if name == os.environ['HANGS_AT']:
    parent = os.getppid()
    while os.getppid() == parent:
      time.sleep(0.1)
  if name == os.environ['CRASHES_AT']:
    os._exit(1)
  return codec.to_record(path, **options)
"""

SCRIPT = """
import functools, sys
import work
from tsm_jax.data import build
from tsm_jax.data.store import builder, shards

if __name__ == '__main__':
  shards.CLIPS_PER_SHARD = 3
  builder.Plan = functools.partial(builder.Plan, to_record=work.work)
  build.main(sys.argv[1:])
"""


@pytest.fixture(autouse=True)
def needs_beam():
  """Without Beam the tests are skipped, but not in CI."""
  if importlib.util.find_spec('apache_beam') is None:
    lacking.skip('needs Apache Beam: pip install .[beam]')


@pytest.fixture(scope='module')
def root(tmp_path_factory):
  """14 videos, one of them broken; they make five shards."""
  root = helpers.write_hmdb51(tmp_path_factory.mktemp('hmdb') / 'h', clips=6)
  (root / 'hmdb51_org' / 'a jump' / '1(!).avi').write_bytes(b'')
  (root.parent / 'script.py').write_text(SCRIPT)
  (root.parent / 'work.py').write_text(WORK)
  return root


@pytest.fixture(scope='module')
def plain(root, tmp_path_factory):
  """What a build without Beam gives: its contents, and the videos it read."""
  where = tmp_path_factory.mktemp('plain')
  found, _ = run(root, where, beam=False)
  return contents(found), sorted(decoded(where))


def command(root, where, hangs_at='', crashes_at='', log='log', beam=True):
  """Arguments of `subprocess`, for a build that writes below `where`."""
  return {
    'args': [
      *(sys.executable, root.parent / 'script.py', 'hmdb51'),
      *('--manual_dir', root, '--data_dir', where / 'data'),
      *('--max_excluded', '0.3'),
      *(('--beam_runner', 'DirectRunner') if beam else ()),
    ],
    'env': {
      **os.environ,
      'PYTHONPATH': f'{helpers.ROOT}:{root.parent}',
      'LOG': str(where / log),
      'HANGS_AT': hangs_at,
      'CRASHES_AT': crashes_at,
    },
    'cwd': where,
  }


def run(*args, **kwargs):
  done = subprocess.run(
    **command(*args, **kwargs), capture_output=True, text=True, timeout=PATIENCE
  )
  assert done.returncode == 0, done.stderr
  lines = done.stdout.splitlines()
  return pathlib.Path(lines[-1].partition('source=')[2]), lines


def decoded(where, log='log'):
  """The videos that were read, one line each."""
  return (where / log).read_text().splitlines()


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


def test_the_dataset_is_the_same_as_without_beam(root, plain, tmp_path):
  found, lines = run(root, tmp_path)
  names, texts, clips = contents(found)
  assert (names, texts, clips) == plain[0]
  assert sum('array_record' in name for name in names) == 5
  assert len(clips) == 13
  assert 'a jump/1(!).avi' in texts[build_report.NAME]
  assert '  not used: a jump/1(!).avi: file is empty (0 bytes)' in lines
  assert [p.name for p in found.parent.iterdir()] == ['1.0.0']
  assert sorted(decoded(tmp_path)) == plain[1]  # each video is decoded once


@pytest.mark.parametrize('beam', [True, False])
def test_a_killed_pipeline_continues_with_or_without_beam(
  root, plain, tmp_path, beam
):
  first = subprocess.Popen(
    **command(root, tmp_path, hangs_at='wave/2(!).avi'),
    start_new_session=True,
  )

  def finished():
    paths = tmp_path.glob('data/*/*/*/*-of-0000[0-9]')
    return sorted(path.name for path in paths)

  try:
    until = time.monotonic() + PATIENCE
    while len(finished()) < 2:
      assert time.monotonic() < until and first.poll() is None
      time.sleep(0.05)
  finally:
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
  assert not list(tmp_path.glob(f'data/**/{build_report.NAME}'))
  done = finished()
  found, lines = run(root, tmp_path, log='second', beam=beam)
  assert lines[1] == f'{len(done)} shards of 3 videos are there already.'
  # The shard of the test list has two videos.
  known = sum(2 if '-val' in name else 3 for name in done)
  again = decoded(tmp_path, 'second')
  assert len(set(again)) == len(again) == 14 - known
  assert contents(found) == plain[0]
  assert [p.name for p in found.parent.iterdir()] == ['1.0.0']


def test_a_decoder_that_crashes_is_reported_by_name(root, tmp_path):
  found, _ = run(root, tmp_path, crashes_at='wave/3(!).avi')
  assert sorted(dataset.open(found).report['excluded']) == [
    ['a jump/1(!).avi', 'file is empty (0 bytes)'],
    ['wave/3(!).avi', 'the process that read it crashed'],
  ]


def test_a_disk_that_fills_leaves_no_half_dataset(root, plain, tmp_path):
  arguments = command(root, tmp_path)
  # No file beyond 20 blocks: as on a full disk, the system refuses more.
  arguments['args'] = [
    *('sh', '-c', 'trap "" XFSZ; ulimit -f 20; exec "$@"', 'sh'),
    *arguments['args'],
  ]
  done = subprocess.run(
    **arguments, capture_output=True, text=True, timeout=PATIENCE
  )
  assert done.returncode == 2
  assert 'took no more: File too large; make room and start' in done.stderr
  # A worker that Beam did not wait for may leave an unfinished shard.
  shards = tmp_path.glob('data/**/*.array_record*')
  assert all(path.suffix == '.unfinished' for path in shards)
  assert not list(tmp_path.glob(f'data/**/{build_report.NAME}'))
  found, _ = run(root, tmp_path)
  assert contents(found) == plain[0]
  assert [p.name for p in found.parent.iterdir()] == ['1.0.0']


def test_mistakes_are_explained(root, tmp_path, capsys):
  arguments = ('hmdb51', '--manual_dir', root, '--data_dir', tmp_path / 'data')
  for more, message in (
    (
      ('--beam_runner', 'NoRunner'),
      "--beam_runner is 'NoRunner', which Beam refuses: ",
    ),
    (
      ('--beam_pipeline_options', 'flink_master=x'),
      "error: --beam_pipeline_options is 'flink_master=x', but there is no",
    ),
  ):
    with pytest.raises(SystemExit) as caught:
      build.main([*map(str, arguments), *more])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
