"""`python -m tsm_jax.predict`: what may be named, what one bad file does."""

import dataclasses
import io
import json
import os
import re
import sys

import jax
import numpy as np
import pytest

from support import commands, helpers, listed, torch_weights
import tsm_jax
from tsm_jax import errors, predict
from tsm_jax.convert import __main__ as convert
from tsm_jax.data.clips import codec, videos
from tsm_jax.runs import checkpoints

NAMES = ['[red]hop[/]', 'a\u202eb', 'run']


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
  """A checkpoint of a network that nobody trained."""
  pytest.importorskip('torch')
  import torch

  folder = tmp_path_factory.mktemp('model')
  state = {k: torch.tensor(v) for k, v in torch_weights.small(3).items()}
  path = folder / 'TSM_x_RGB_resnet18_shift8_blockres_avg_segment2_e1.pth'
  torch.save({'state_dict': state}, path)
  (folder / 'labels.json').write_text(json.dumps(NAMES))
  convert.to_checkpoint(
    path,
    folder / 'run',
    folder / 'labels.json',
    image_size=32,
    stage_sizes=(1,),
  )
  return folder / 'run'


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
  """A folder of videos, of which one is a folder of images."""
  folder = tmp_path_factory.mktemp('clips')
  for name in ('b.mp4', 'a [1].avi', 'deeper/c.mkv', '.hidden.mp4'):
    helpers.write_video(folder / name, 4)
  helpers.write_frames(folder / 'images', 4)
  (folder / 'notes.txt').write_text('x')
  return folder


def answered(done):
  return [result['video'] for result in json.loads(done.stdout)]


def run(*args):
  return commands.call('predict', *args, '--json')


def in_order(folder, *names):
  return [os.path.join(folder, name) for name in names]


def test_a_folder_stands_for_the_videos_in_it(workdir, clips):
  done = run(workdir, clips)
  assert done.returncode == 0, done.stderr
  assert answered(done) == in_order(
    clips, 'a [1].avi', 'b.mp4', 'deeper/c.mkv', 'images'
  )
  assert done.stderr == (
    f'{clips}: 1 files that are no videos were passed over, for example '
    'notes.txt.\n'
  )
  # A folder of images is one clip.
  assert answered(run(workdir, clips / 'images')) == [str(clips / 'images')]


def test_a_pattern_stands_for_the_files_it_fits(workdir, clips):
  done = run(workdir, clips / '*.[am][vp]*', clips / 'a [1].avi')
  assert done.returncode == 0, done.stderr
  both = in_order(clips, 'a [1].avi', 'b.mp4')
  assert answered(done) == [*both, both[0]]
  assert answered(run(workdir, clips / '**/*.mkv')) == in_order(
    clips, 'deeper/c.mkv'
  )
  done = run(workdir, clips / '*.mov')
  assert done.returncode == 2
  assert "*.mov': no file has this name or pattern." in done.stderr


def pipe(monkeypatch, content):
  stream = io.TextIOWrapper(io.BytesIO(content))
  monkeypatch.setattr(sys, 'stdin', stream)


def test_a_video_through_standard_input(workdir, clips, monkeypatch):
  path = clips / 'b.mp4'
  pipe(monkeypatch, path.read_bytes())
  done = run(workdir, '-', path)
  assert done.returncode == 0, done.stderr
  first, second = json.loads(done.stdout)
  assert first == {**second, 'video': '-'}
  for content, message in (
    (b'', "'-': nothing came through standard input."),
    (b'clip1.mp4\nclip2.mp4\n', "'-': standard input is a text.*xargs"),
    (bytes(range(256)), "'-': not a readable video"),
  ):
    pipe(monkeypatch, content)
    done = run(workdir, '-')
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert re.search(message, line), line


@pytest.mark.parametrize(
  ('address', 'remedy'),
  [
    ('http://user:x@host/a.mp4', 'download it'),
    ('HTTPS://host/a.mp4', 'download it'),
    ('rtsp://camera/1', 'ffmpeg -t 10 -i'),
    ('udp://@239.0.0.1:1234', 'ffmpeg -t 10 -i'),
    ('gs://bucket/a.mp4', 'copy it to a local folder'),
    ('file:///a.mp4', 'give the path without file:'),
  ],
)
def test_an_address_is_refused_with_the_way_to_a_file(workdir, address, remedy):
  done = run(workdir, address)
  assert done.returncode == 2
  (line,) = done.stderr.splitlines()
  shown = address.replace('user:x@', '')
  assert line.startswith(f"error: '{shown}' is an address") and remedy in line
  with pytest.raises(errors.InputError, match='is an address'):
    tsm_jax.load(workdir).predict(address)


def without_decoder(path):
  helpers.write_video(path, 4, codec='ffv1', options={})
  data = path.read_bytes()
  assert b'V_FFV1' in data
  path.write_bytes(data.replace(b'V_FFV1', b'V_NONE'))


def wide(path):
  frame = np.zeros((2, 70000, 3), np.uint8)
  videos.write(path, [frame] * 4, codec='ffv1', options={})


@pytest.mark.parametrize(
  ('name', 'write'),
  [
    ('x.mkv', without_decoder),
    ('x.mkv', wide),
    ('x' * 300, lambda path: None),
    ('[red] [x].mp4', lambda path: path.write_bytes(b'no video')),
    ('a\x1b[2J\nb.mp4', lambda path: path.write_bytes(b'no video')),
    ('\udcff.mp4', lambda path: path.write_bytes(b'no video')),
    ('pipe.mp4', os.mkfifo),
    ('empty', os.mkdir),
    ('loop.mp4', lambda path: path.symlink_to(path)),
  ],
)
@pytest.mark.usefixtures('quiet_ffmpeg')
def test_one_odd_file_is_one_line(workdir, clips, tmp_path, name, write):
  write(tmp_path / name)
  good = str(clips / 'b.mp4')
  done = commands.call('predict', workdir, tmp_path / name, good)
  assert done.returncode == 1
  (line,) = done.stderr.splitlines()
  assert line.startswith('error: ') and line.isprintable()
  assert 'Traceback' not in line and 'b.mp4' in done.stdout
  assert commands.call('predict', workdir, tmp_path / name).returncode == 2


def test_a_folder_that_cannot_be_read_is_one_line(
  workdir, clips, tmp_path, monkeypatch
):
  for name in ('a/1.mp4', 'b/2.mp4', 'c/3.mp4'):
    helpers.write_video(tmp_path / name, 4)
  real_scan, real_list = os.scandir, os.listdir  # nothing is closed to root

  def closed(real):
    def listed(path):
      if str(path).endswith('/b'):
        raise PermissionError(13, 'Permission denied', str(path))
      return real(path)

    return listed

  monkeypatch.setattr(os, 'scandir', closed(real_scan))
  monkeypatch.setattr(os, 'listdir', closed(real_list))
  done = run(workdir, tmp_path)
  assert done.returncode == 1
  (line,) = done.stderr.splitlines()
  assert f"{tmp_path / 'b'}'" in line and 'Permission denied' in line
  assert answered(done) == in_order(tmp_path, 'a/1.mp4', 'c/3.mp4')


def test_any_error_of_a_decoder_is_about_its_file(workdir, clips, monkeypatch):
  real = codec.to_record

  def fails(path, *args):
    if str(path).endswith('b.mp4'):
      raise RuntimeError('library\nwith details')
    return real(path, *args)

  monkeypatch.setattr(codec, 'to_record', fails)
  done = run(workdir, clips / 'b.mp4', clips / 'a [1].avi')
  assert done.returncode == 1
  assert done.stderr == (
    f"error: '{clips / 'b.mp4'}' cannot be decoded (RuntimeError: library "
    'with details).\n'
  )


def test_a_row_for_every_video_also_for_bad_ones(workdir, clips, tmp_path):
  bad = tmp_path / '=1+1,"x".mp4'
  bad.write_bytes(b'no video')
  out = tmp_path / 'out.csv'
  named = (clips / 'b.mp4', bad, clips / '*.mov', clips / 'images')
  done = commands.call('predict', workdir, *named, '--csv', out)
  assert done.returncode == 1
  assert done.stdout == f'2 videos are answered in {out}, 2 could not be.\n'
  rows = listed.read_csv(out)
  assert list(rows[0]) == [
    *('video', 'top1', 'p1', 'top2', 'p2', 'top3', 'p3', 'error'),
  ]
  assert [row['video'] for row in rows] == list(map(str, named))
  good = [row for row in rows if not row['error']]
  assert good == rows[::3]
  for row, error in zip(rows[1:3], done.stderr.splitlines()):
    assert error == f'error: {row["error"]}' and not row['top1'] + row['p3']
  expected = json.loads(run(workdir, named[0], named[3]).stdout)
  for row, result in zip(good, expected):
    found = [(row[f'top{i}'], row[f'p{i}']) for i in (1, 2, 3)]
    assert found == [
      (p['label'], f'{p["probability"]:.6g}') for p in result['predictions']
    ]


@pytest.mark.parametrize(
  ('flags', 'message'),
  [
    (['--csv', 'out.txt'], "--csv is 'out.txt'; it must end in .csv"),
    (['--csv', 'list.csv'], "would write 'list.csv', which is the list"),
    (['--csv', 'no/out.csv'], 'No such file or directory'),
    (['--csv', 'o.csv', '--stream'], '--stream writes .* by --events FILE.csv'),
  ],
)
def test_a_table_that_cannot_be_written(
  workdir, flags, message, tmp_path, monkeypatch
):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'list.csv').write_text('path\na.mp4\n')
  done = commands.call('predict', workdir, 'list.csv', *flags)
  assert done.returncode == 2
  assert re.search(message, done.stderr), done.stderr
  assert (tmp_path / 'list.csv').read_text() == 'path\na.mp4\n'


def test_a_list_stands_for_its_videos(workdir, clips, tmp_path):
  names = [os.path.relpath(clips / x, tmp_path) for x in ('b.mp4', 'images')]
  (tmp_path / 'list.txt').write_text('\n'.join([*names, names[0], 'none.mp4']))
  done = run(workdir, tmp_path / 'list.txt')
  assert done.returncode == 1
  first, images = (str(tmp_path / name) for name in names)
  assert answered(done) == [first, images, first]  # also what comes twice
  assert 'none.mp4' in done.stderr


def test_progress_is_on_standard_error(workdir, clips, monkeypatch):
  monkeypatch.setattr(tsm_jax.progress, '_EVERY', 0.0)
  real = tsm_jax.progress.bar
  monkeypatch.setattr(
    tsm_jax.progress, 'bar', lambda *args, **more: real(*args, delay=0, **more)
  )
  done = run(workdir, clips / 'b.mp4', clips / 'images')
  assert 'predict:  50%' in done.stderr and '1/2' in done.stderr
  assert len(json.loads(done.stdout)) == 2  # on standard error only


def test_names_are_printed_as_they_are(workdir, clips):
  done = commands.call('predict', workdir, clips / 'a [1].avi')
  assert 'a [1].avi' in done.stdout and '[red]hop[/]' in done.stdout
  assert r'a\u202eb' in done.stdout
  done = run(workdir, clips / 'a [1].avi')
  (result,) = json.loads(done.stdout)
  assert {p['label'] for p in result['predictions']} == set(NAMES)


def test_a_model_that_is_not_finite_predicts_nothing(workdir, clips, tmp_path):
  trained = checkpoints.restore_model(workdir)
  variables = jax.tree.map(lambda x: np.full_like(x, np.nan), trained.variables)
  broken = dataclasses.replace(trained, variables=variables)
  with pytest.raises(errors.InputError, match=r"b\.mp4': the model gives"):
    predict.Model(**vars(broken)).predict(clips / 'b.mp4')


def test_a_file_of_pytorch_is_converted_first(workdir, clips):
  (path,) = workdir.parent.glob('*.pth')
  done = run(path, clips / 'b.mp4')
  assert done.returncode == 2
  assert 'is a file; tsm_jax.convert makes it a checkpoint' in done.stderr


def test_in_python_a_folder_of_videos_is_a_list_of_paths(workdir, clips):
  model = tsm_jax.load(workdir)
  with pytest.raises(errors.InputError, match='holds no numbered image'):
    model.predict(clips)
  one, other = model.predict([clips / 'b.mp4', clips / 'images'], top=2)
  assert len(one) == len(other) == 2
