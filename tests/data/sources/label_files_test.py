import json

import pytest

from tsm_jax import errors
from tsm_jax.data.sources import label_files

NAMES = ['hop', 'to jump', 'run']


def indexed(start, form='{0} {1}'):
  lines = (form.format(i, name) for i, name in enumerate(NAMES, start))
  return '\n'.join(lines) + '\n'


@pytest.mark.parametrize(
  'text',
  [
    '\n'.join(NAMES),
    '\ufeff' + '\r\n'.join(NAMES),
    indexed(0),
    indexed(1),
    indexed(0, '{0}\t{1}'),
    indexed(0, '{0},{1}'),
    indexed(0, '{0}: {1}'),
    'id,name\n' + indexed(0, '{0},{1}'),
    'label_id;"class name"\n' + indexed(0, '{0};"{1}"'),
    indexed(0, '{1} {0}'),
    indexed(1, '{1},{0}'),
    '\n'.join(reversed(indexed(0).splitlines())),
    json.dumps(NAMES),
    json.dumps({i: name for i, name in enumerate(NAMES)}),
    json.dumps({name: i for i, name in enumerate(NAMES)}),
    json.dumps({name: str(i) for i, name in enumerate(NAMES, 1)}, indent=1),
  ],
)
def test_forms_of_a_list_of_classes(tmp_path, text):
  path = tmp_path / 'labels.txt'
  path.write_text(text, encoding='utf-8')
  assert label_files.read(path, '--labels') == NAMES


@pytest.mark.parametrize(
  ('text', 'expected'),
  [
    ('3 points\n2 points\n', ['3 points', '2 points']),
    ('100 metres\n200 metres\n', ['100 metres', '200 metres']),
    ('0\n1\n2\n', ['0', '1', '2']),
    ('1 hop', ['1 hop']),
    ('hop 1\nhop 1b', ['hop 1', 'hop 1b']),
    ('[red] hop\n{run}\n', ['[red] hop', '{run}']),
  ],
)
def test_numbers_that_are_no_indices_belong_to_the_names(
  tmp_path, text, expected
):
  path = tmp_path / 'labels.txt'
  path.write_text(text)
  assert label_files.read(path, '--labels') == expected


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('[1, 2]', 'names the class 1, which is no text'),
    ('["a", ["b"]]', r"the class \['b'\], which is no text"),
    ('["a", "a"]', "names 'a' more than once"),
    ('["a", "b\\nc"]', 'holds a line break'),
    ('["a", ""]', 'is blank'),
    ('[]', 'names no class'),
    ('["a",', 'looks like JSON, but is none'),
    ("['a', 'b']", 'looks like JSON, but is none'),
    ('0 a\n0 b', 'a number in front of every name'),
    ('0 a\n2 b', 'a number in front of every name'),
    ('{"a": 0, "b": 2}', 'an index from 0 on, each once'),
    ('{"a": 0, "b": 0}', 'an index from 0 on, each once'),
    ('{"a": {"id": 0}}', 'an index from 0 on, each once'),
    ('{"a": 0.5}', 'an index from 0 on, each once'),
    ('[' * 100000, 'looks like JSON, but is none'),
    ('', 'names no class'),
    ('a\na\n', "'a' more than once"),
  ],
)
def test_what_names_no_classes_is_refused(tmp_path, text, message):
  path = tmp_path / 'labels.json'
  path.write_text(text)
  with pytest.raises(errors.InputError, match=message) as refused:
    label_files.read(path, '--labels')
  assert str(refused.value).startswith(f"--labels is '{path}'")
  with pytest.raises(errors.InputError, match='no such file'):
    label_files.read(tmp_path / 'none.txt', '--labels')


def test_lines_that_are_labels_of_clips_are_names_as_they_are(tmp_path):
  path = tmp_path / 'labels.txt'
  path.write_text('1 hand\n2 hands\n')
  assert label_files.read(path, 'data.labels') == ['hand', 'hands']
  known = {'1 hand', '2 hands'}
  assert label_files.read(path, 'data.labels', known) == ['1 hand', '2 hands']
