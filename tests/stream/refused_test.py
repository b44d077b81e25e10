"""What `predict --stream` refuses, each in one sentence."""

import re

import pytest

from support import colours, commands, helpers


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
  return colours.save_model(tmp_path_factory.mktemp('colours') / 'run')


def run(workdir, *args):
  return commands.call(
    'predict', workdir, *args, '--stream', '--background=idle'
  )


@pytest.mark.parametrize(
  'args, message',
  [
    (('63',), 'Camera 63 cannot be opened'),
    (('rtsp://me:secret@127.0.0.1:9/x',), 'cannot be reached .*refused'),
    (('http://host/a.mp4',), 'is an address'),
    (('0', 'a.mp4'), "^error: 'camera 0' has no end"),
    (('a.mp4', '--every=1', '--fps=2'), 'give one of them'),
    (('a.mp4', '--every=0'), '--every is 0; it must be positive'),
    (('a.mp4', '--clips=2'), '--clips chooses or counts'),
    (('a.mp4', '--background=idel'), "did you mean 'idle'"),
  ],
)
def test_what_cannot_be_is_one_sentence(workdir, args, message):
  done = run(workdir, *args)
  assert done.returncode == 2 and 'secret' not in done.stderr
  (line,) = [x for x in done.stderr.splitlines() if x.startswith('error: ')]
  assert re.search(message, line), line


def test_flags_of_a_stream_need_it(workdir):
  done = commands.call('predict', workdir, 'a.mp4', '--scores=a.csv')
  assert done.returncode == 2
  assert done.stderr == 'error: --scores needs --stream.\n'


@pytest.mark.parametrize(
  'kwargs, message',
  [
    ({'direction': 'both'}, "model.direction is 'both'"),
    ({'interval': None}, 'give --every, in seconds, or --fps'),
  ],
)
def test_a_model_that_cannot(tmp_path, kwargs, message):
  workdir = colours.save_model(tmp_path / 'run', **kwargs)
  done = run(workdir, 'a.mp4')
  assert done.returncode == 2 and message in done.stderr
  assert len(done.stderr.splitlines()) == 1


def test_a_folder_of_images_has_no_times(workdir, tmp_path):
  helpers.write_frames(tmp_path / 'images', 3)
  done = run(workdir, tmp_path / 'images')
  assert done.returncode == 2
  assert 'is a folder of images, which have no times' in done.stderr
