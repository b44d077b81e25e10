import json
import re
import sys

import pytest

from support import listed
from tsm_jax.data.sources import folder, listings


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig'])
def test_csv_list(tmp_path, encoding):
  listed.touch(tmp_path, 'my clips/ä, b.mp4', 'c.mp4', 'd.mp4')
  rows = [('my clips/ä, b.mp4', 'größer', 'train'), ('c.mp4', ' run ', 'TRAIN')]
  rows.append((tmp_path / 'd.mp4', 'run', 'validation'))
  source = listed.write_csv(
    tmp_path / 'list.CSV', rows, ('path', 'label', 'split'), encoding
  )
  listing = folder.scan(source)
  assert listing.labels == ['größer', 'run']
  assert listed.table(listing) == {
    'my clips/ä, b.mp4': ('größer', 'train'),
    'c.mp4': ('run', 'train'),
    str(tmp_path / 'd.mp4'): ('run', 'val'),
  }


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig'])
def test_json_list_without_splits(tmp_path, encoding):
  listed.touch(tmp_path, 'é.mp4', 'b.mp4')
  rows = [{'path': 'é.mp4', 'label': 3}, {'path': 'b.mp4', 'label': 3}]
  (tmp_path / 'all.json').write_text(
    json.dumps(rows, ensure_ascii=False), encoding=encoding
  )
  listing = folder.scan(tmp_path / 'all.json', holdout=0.5)
  assert listing.labels == ['3']
  assert sorted(split for _, split in listed.table(listing).values()) == [
    'train',
    'val',
  ]


def test_lists_in_a_folder_win_over_its_folders(tmp_path):
  # As Kinetics comes: flat folders of splits beside lists with the labels.
  listed.touch(
    tmp_path, 'train/a.mp4', 'train/b.mp4', 'val/c.mp4', 'val/new.mp4'
  )
  listed.write_csv(
    tmp_path / 'train.csv', [('train/a.mp4', 'x'), ('train/b.mp4', 'y')]
  )
  listed.write_csv(
    tmp_path / 'val.csv', [('val/c.mp4', 'y'), ('train/a.mp4', 'x')]
  )
  listing = folder.scan(tmp_path)
  assert listed.table(listing) == {
    'train/a.mp4': ('x', 'train'),
    'train/b.mp4': ('y', 'train'),
    'val/c.mp4': ('y', 'val'),
  }
  assert listing.excluded == [
    ('train/a.mp4', 'is listed more than once; the first row counts')
  ]
  assert listing.notes == [
    'val/new.mp4 was ignored: it is in no list',
    "class 'x' has no video in the split 'val'",
  ]


def test_what_a_list_gets_wrong_is_excluded_with_its_reason(tmp_path):
  listed.touch(tmp_path, *(f'{c}.mp4' for c in 'abcde'))
  (tmp_path / 'dir.mp4').mkdir()
  rows = [('a.mp4', 'run', 'train'), ('b.mp4', '', 'train')]
  rows += [('./a.mp4', 'jump', 'train'), ('gone.mp4', 'run', 'train')]
  rows += [('c.mp4', 'swim', 'val'), ('d.mp4', 'run', '')]
  rows += [('dir.mp4', 'run', 'val'), ('e.mp4', 'run', 'val')]
  source = listed.write_csv(
    tmp_path / 'l.csv', rows, ('path', 'label', 'split')
  )
  listing = folder.scan(source)
  assert dict(listing.excluded) == {
    './a.mp4': 'is listed more than once; the first row counts',
    'b.mp4': 'has no label',
    'c.mp4': "has the label 'swim', which is not in the label map",
    'd.mp4': 'has no split, although others have one',
    'dir.mp4': 'is not a file',
    'gone.mp4': 'file does not exist',
  }
  assert listed.table(listing) == {
    'a.mp4': ('run', 'train'),
    'e.mp4': ('run', 'val'),
  }


@pytest.mark.parametrize(
  'name, text, message',
  [
    ('l.csv', b'file,label\na.mp4,run\n', "Row 1 .* 'file'.* to 'path'"),
    ('l.csv', b'clips,label\na.mp4,x\n', 'Row 1 .* no path.* clips, label'),
    ('l.csv', b'path,label,split\na.mp4,x,traim\n', "split 'traim'; choose"),
    (
      'l.csv',
      b'path,label\n\xff\xfe.mp4,run\n',
      'cannot be read.*save it as UTF-8',
    ),
    ('l.csv', b'path\na.mp4\n', 'a.mp4 has no label'),
    ('l.csv', b'', 'no usable video'),
    ('l.json', b'[{"path": "a.mp4",}]', 'cannot be read: .*line 1'),
    ('l.json', b'{"path": "a.mp4"}', 'array of objects'),
    ('l.json', b'["a.mp4"]', 'array of objects'),
    ('l.json', b'[{"label": "x"}]', 'Row 1 .* no path'),
    ('l.mp4', b'video', r'a list must end in \.csv or \.json'),
    ('l.csv', b'path,label\ngone.mp4,x\n', 'gone.mp4 file does not exist'),
  ],
)
def test_lists_that_cannot_be_used(tmp_path, name, text, message):
  (tmp_path / name).write_bytes(text)
  listed.fails(tmp_path / name, message)


@pytest.mark.parametrize(
  'label', ['a\nb', 'a\r\nb', 'a\tb', 'a\0b', 'a\x1bb', 'a\x85b', 'a\u2028b']
)
def test_a_label_is_one_plain_line(tmp_path, label):
  listed.touch(tmp_path, 'a.mp4', 'b.mp4')
  rows = [('a.mp4', 'run'), ('b.mp4', label)]
  (tmp_path / 'l.json').write_text(
    json.dumps([dict(zip(('path', 'label'), row)) for row in rows])
  )
  message = (
    f'Row 2 of {str(tmp_path / "l.json")!r} has the label {label!r}, which '
    'holds a line break or another control character; '
  )
  listed.fails(tmp_path / 'l.json', re.escape(message))
  if not {'\0', '\r'} & set(label):  # the reader changes them
    source = listed.write_csv(tmp_path / 'l.csv', rows)
    listed.fails(source, re.escape(message.replace('.json', '.csv')))


def test_a_label_of_half_a_character_is_refused(tmp_path):
  listed.touch(tmp_path, 'a.mp4')
  rows = '[{"path": "a.mp4", "label": "x\\ud800"}]'
  (tmp_path / 'l.json').write_text(rows)
  listed.fails(tmp_path / 'l.json', 'Row 1 .* holds half a character')
  (tmp_path / 'l.json').write_text('[{"path": "a.mp4", "label": "x"}]')
  (tmp_path / 'labels.json').write_text('["x", "\\udfff"]')
  listed.fails(
    tmp_path / 'l.json',
    'holds half a character',
    labels_file=str(tmp_path / 'labels.json'),
  )


def test_no_label_that_is_accepted_is_several_lines():
  for code in range(sys.maxunicode + 1):
    label = f'a{chr(code)}b'
    if len(label.splitlines()) > 1:
      assert listings.problem(label), code
  for label in ('Größe, "b" \\n', 'a  b', 'é', 'e\u0301', '-1', '🏃'):
    assert not listings.problem(label)
  assert listings.problem('') == listings.problem(' \t') == 'is blank'
  for label in (' a', 'a\n', '\u3000a'):
    assert listings.problem(label) == 'has blanks around it'


def test_labels_that_are_all_integers_are_ordered_as_numbers(tmp_path):
  numbers = [*range(12), -1]
  listed.touch(tmp_path, *(f'{i}.mp4' for i in numbers), 'x.mp4')
  rows = [(f'{i}.mp4', i, 'train') for i in numbers]
  columns = ('path', 'label', 'split')
  listing = folder.scan(listed.write_csv(tmp_path / 'l.csv', rows, columns))
  assert listing.labels == list(map(str, sorted(numbers)))
  rows.append(('x.mp4', 'x', 'train'))
  listing = folder.scan(listed.write_csv(tmp_path / 'l.csv', rows, columns))
  assert listing.labels == sorted([*map(str, numbers), 'x'])
