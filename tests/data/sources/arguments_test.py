import pytest

from support import helpers
from tsm_jax import errors
from tsm_jax.data.sources import arguments


def expand(argument):
  lines = []
  return arguments.expand(str(argument), lines.append), lines


def test_every_kind_of_video_in_a_folder_counts(tmp_path):
  video = helpers.write_video(tmp_path / 'a.mp4', 4).read_bytes()
  names = ['b.m4v', 'c.MOV', 'd.mpg', 'no ending', 'z/deeper.ts']
  for name in names:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(video)
  (tmp_path / 'x.unknown').write_bytes(b'no video')
  found, (line,) = expand(tmp_path)
  assert found == [str(tmp_path / name) for name in ('a.mp4', *names)]
  assert '1 files that are no videos' in line and 'x.unknown' in line


def test_links_in_a_circle_and_hidden_files_are_passed_over(tmp_path):
  helpers.write_frames(tmp_path / 'a' / 'clip', 2)
  (tmp_path / 'a' / 'loop').symlink_to(tmp_path)
  (tmp_path / '.cache').mkdir()
  helpers.write_video(tmp_path / '.cache' / 'b.mp4', 2)
  assert expand(tmp_path) == ([str(tmp_path / 'a' / 'clip')], [])


def test_a_file_goes_before_its_name_as_a_pattern(tmp_path):
  for name in ('[ab].mp4', 'a.mp4'):
    (tmp_path / name).write_bytes(b'')
  assert expand(tmp_path / '[ab].mp4')[0] == [str(tmp_path / '[ab].mp4')]
  assert expand(tmp_path / '[a].mp4')[0] == [str(tmp_path / 'a.mp4')]
  with pytest.raises(errors.InputError, match='no file has this name or patt'):
    expand(tmp_path / '[b].mp4')
  (tmp_path / 'empty').mkdir()
  with pytest.raises(errors.InputError, match='holds no video and no numbered'):
    expand(tmp_path / 'empty')


def test_a_folder_called_as_an_address_is_a_folder(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'http:' / 'host').mkdir(parents=True)
  (tmp_path / 'http:' / 'host' / 'a.mp4').write_bytes(b'')
  assert expand('http://host/a.mp4')[0] == ['http://host/a.mp4']
  with pytest.raises(errors.InputError, match='is an address'):
    expand('http://host/b.mp4')


@pytest.mark.parametrize('scheme', ['rtsp://', 'http://', 'rtsp:/', 'rtmp://'])
def test_an_address_is_refused_without_its_password(scheme):
  with pytest.raises(errors.InputError, match=r"'[a-z]+:/+door/1' is") as told:
    arguments.expand(f'{scheme}me:secret@door/1', print)
  assert 'secret' not in str(told.value)
