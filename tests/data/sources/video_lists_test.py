import json

import pytest

from tsm_jax import errors
from tsm_jax.data.sources import arguments

PATHS = ['b.mp4', 'deeper/a b.mp4', '#c.mp4', 'b.mp4']


@pytest.mark.parametrize(
  ('name', 'content'),
  [
    ('l.txt', '\ufeffb.mp4\r\ndeeper/a b.mp4\n\n#c.mp4\nb.mp4'),
    ('l.csv', 'path\nb.mp4\ndeeper/a b.mp4\n#c.mp4\nb.mp4\n'),
    ('l.CSV', 'label,path\nx,b.mp4\n,deeper/a b.mp4\ny,#c.mp4\nx,b.mp4\n'),
    ('l.json', json.dumps(PATHS)),
    ('l.json', json.dumps([{'path': path, 'split': 'val'} for path in PATHS])),
  ],
)
def test_the_paths_of_a_list(name, content, tmp_path):
  (tmp_path / name).write_text(content)
  found = arguments.expand(str(tmp_path / name), print)
  assert found == [str(tmp_path / path) for path in PATHS]


def test_a_path_from_the_root_stays(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'l.txt').write_text('/x/a.mp4\nb.mp4\n')
  assert arguments.expand('l.txt', print) == ['/x/a.mp4', 'b.mp4']


@pytest.mark.parametrize(
  ('name', 'content', 'message'),
  [
    ('l.txt', ' \n', 'names no video'),
    ('l.json', '[]', 'names no video'),
    ('l.json', '["b.mp4", ""]', 'Row 2 of .* has no path'),
    ('l.json', '[1]', 'must hold an array of objects'),
    ('l.json', '{', 'cannot be read'),
    ('l.txt', b'\xff.mp4', 'cannot be read.*save it as UTF-8'),
    ('l.csv', 'path,start,end\na.mp4,1,2\n', 'Row 1 of .* is a part of a vid'),
    ('l.csv', 'video\na.mp4\n', "rename it to 'path'"),
  ],
)
def test_what_is_no_list_of_videos(name, content, message, tmp_path):
  path = tmp_path / name
  path.write_bytes(content if isinstance(content, bytes) else content.encode())
  with pytest.raises(errors.InputError, match=message):
    arguments.expand(str(path), print)


def test_a_pattern_and_a_folder_name_no_lists(tmp_path):
  for name in ('a.txt', 'b.mp4'):
    (tmp_path / name).write_text('x')
  found = arguments.expand(str(tmp_path / '*'), print)
  assert found == [str(tmp_path / name) for name in ('a.txt', 'b.mp4')]
  assert arguments.expand(str(tmp_path), print) == [str(tmp_path / 'b.mp4')]
