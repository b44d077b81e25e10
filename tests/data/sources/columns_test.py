"""What a list says is read, or told: nothing in it is passed over."""

import json
import re
import unicodedata

import pytest

from support import listed
from tsm_jax.data.sources import folder

LONG = 'Putting something, something and something on the table'


@pytest.mark.parametrize(
  'text, message',
  [
    (f'path,label\na.mp4,{LONG}\n', "Row 1 .* has 3 fields.* path, label: .*'"),
    (f'path,label,split\na.mp4,{LONG},train\n', 'Row 1 .* has 4 fields'),
    (f'path,label,\na.mp4,{LONG}\n', 'Row 1 .* has 3 fields'),
    (f'label,path\nrun,a.mp4\n{LONG},b.mp4\n', 'Row 2 .* has 3 fields'),
    (
      'path,label\na.mp4,"run\nb.mp4,jump\n',
      'Row 1 .*quotes that do not match',
    ),
    ('path,label\na.mp4,"run\nb.mp4,"jump"\n', 'Row 1 .*quotes that do not'),
    ('path,label\na.mp4,"run\nb.mp4,jump"\n', 'Row 1 .*quote not closed'),
    ('label,path\nrun,"a.mp4\njump,b.mp4"\n', 'path .*line break'),
    (
      'path,label,notes\na.mp4,x,"good\nb.mp4,x,bad"\n',
      "Row 1 .* 2 lines, .* 'b.mp4,x,bad\"'; is a quote not closed",
    ),
    (
      'path,notes,label\na.mp4,"good\nb.mp4,bad",x\nc.mp4,"b",y',
      'is a quote not closed|no usable',
    ),
    ('path,label\na.mp4,"run" fast\n', 'Row 1 .*quotes that do not match'),
    ('path;label\na.mp4;run\n', "parted by ';'"),
    ('path\tlabel\na.mp4\trun\n', r"parted by '\\t'"),
    ('path,label,Label\na.mp4,x,y\n', "column 'label' more than once"),
    ('path,label,End_Time\na.mp4,x,3\n', "Row 1 .*'End_Time'.*to end if"),
    ('path,label,time_start\na.mp4,x,3\n', "'time_start'.*to start if"),
    ('path,label,Start (s)\na.mp4,x,\nb.mp4,x,3\n', 'Row 2 .*to start if'),
    ('path,label,time end\na.mp4,x,3\n', "'time end'.*to end if"),
    ('path,label,frameBegin\na.mp4,x,3\n', "'frameBegin'.*to start_frame if"),
    ('path,label,end_idx\na.mp4,x,3\n', "'end_idx'.*to end_frame if"),
    ('path,label,segment\na.mp4,x,3\n', "'segment'.*start or end .seconds."),
    ('path,label,start,duration\na.mp4,x,3,2\n', "'duration'.*from end"),
    ('path,label,is_train\na.mp4,x,1\n', "'is_train'.* to 'split'"),
    ('path,label,dataSplit\na.mp4,x,1\n', "'dataSplit'.* to 'split'"),
    ('path,class label\na.mp4,x\n', "'class label'.* to 'label'"),
    ('path,label,from,to\na.mp4,x,3,4\n', "Row 1 .*'from'.*to start"),
    ('path,label,T0,t1\na.mp4,x,3,4\n', "Row 1 .*'T0'.*to start"),
    ('path,label,set\na.mp4,x,train\n', "'set'.* to 'split'"),
    ('path,label,subset\na.mp4,x,training\n', "'subset'.* to 'split'"),
    ('path,label,spilt\na.mp4,x,train\n', "'spilt'.* to 'split'"),
    ('path,label,kind\na.mp4,x,train\nb.mp4,x,val\n', "'kind'.* to 'split'"),
    ('path,lable\na.mp4,x\n', "'lable'.* to 'label'"),
    ('path,class\na.mp4,x\n', "'class'.* to 'label'"),
    ('video,label\na.mp4,x\n', "'video'.* to 'path'"),
  ],
)
def test_csv_that_would_be_misread(tmp_path, text, message):
  listed.touch(tmp_path, 'a.mp4', 'b.mp4')
  (tmp_path / 'l.csv').write_text(text)
  listed.fails(tmp_path / 'l.csv', message)


@pytest.mark.parametrize('column', ['Split', 'split ', ' SPLIT'])
def test_columns_without_regard_to_blanks_and_capitals(tmp_path, column):
  listed.touch(tmp_path, 'a.mp4', 'b.mp4')
  text = f'Path, Label ,{column},\na.mp4,"x, y",train,\nb.mp4,"x, y",val,\n'
  (tmp_path / 'l.csv').write_text(text)
  (tmp_path / 'l.json').write_text(
    json.dumps(
      [
        {'PATH': f'{name}.mp4', 'label ': 'x, y', column: split}
        for name, split in (('a', 'train'), ('b', 'validation'))
      ]
    )
  )
  for name in ('l.csv', 'l.json'):
    listing = folder.scan(tmp_path / name)
    assert listed.table(listing) == {
      'a.mp4': ('x, y', 'train'),
      'b.mp4': ('x, y', 'val'),
    }
    assert listing.notes == []


def test_other_columns_are_noted(tmp_path):
  listed.touch(tmp_path, 'a.mp4', 'b.mp4')
  text = 'path,label,split,fps,set\na.mp4,x,train,,1\nb.mp4,x,val,25,2\n'
  (tmp_path / 'l.csv').write_text(text)
  assert folder.scan(tmp_path / 'l.csv').notes == [
    f"the column '{name}' of l.csv was ignored (row {row}); path, label, split "
    'are read'
    for name, row in (('set', 1), ('fps', 2))
  ]


def test_a_list_of_one_split_needs_no_column_of_it(tmp_path):
  listed.touch(tmp_path, 'a.mp4', 'b.mp4')
  for name, split in (('a', 'train'), ('b', 'eval')):
    rows = [(f'{name}.mp4', 'x', 3)]
    columns = ('path', 'label', 'fold')
    listed.write_csv(tmp_path / f'{split}.csv', rows, columns)
  assert listed.table(folder.scan(tmp_path)) == {
    'a.mp4': ('x', 'train'),
    'b.mp4': ('x', 'val'),
  }


@pytest.mark.parametrize(
  'label, shown',
  [
    ({'a': 1}, "{'a': 1}"),
    (float('nan'), 'nan'),
    (1.0, '1.0'),
    (True, 'True'),
  ],
)
def test_a_json_label_is_text_or_a_whole_number(tmp_path, label, shown):
  rows = [{'path': 'a.mp4', 'label': 1}, {'path': 'b.mp4', 'label': label}]
  (tmp_path / 'l.json').write_text(json.dumps(rows))
  message = f'has the label {shown}; a label is text or a whole number'
  listed.fails(tmp_path / 'l.json', f'Row 2 .* {re.escape(message)}')


@pytest.mark.parametrize(
  'row, message',
  [
    ('{"path": "a.mp4", "label": "x", "label": "y"}', "'label' more than once"),
    ('{"path": ["a.mp4"], "label": "x"}', 'the path .* must be text'),
    ('{"path": "a.mp4", "label": "x", "split": 1}', 'the split 1; choose'),
    ('{"path": "a.mp4", "label": "x", "subset": "training"}', "to 'split'"),
    ('{"path": "a.mp4", "label": "x", "segment": [0, 1]}', 'rename it'),
  ],
)
def test_json_that_would_be_misread(tmp_path, row, message):
  (tmp_path / 'l.json').write_text(f'[{row}]')
  listed.fails(tmp_path / 'l.json', message)


@pytest.mark.parametrize(
  'other', ['x\u200b', '\ufeffx', 'X', '\uff58', 'x\u00ad']
)
def test_classes_that_hardly_differ_are_noted(tmp_path, other):
  listed.touch(tmp_path, 'x/1.mp4', f'{other}/2.mp4', 'y/3.mp4')
  (note,) = folder.scan(tmp_path, holdout=0).notes
  assert note.startswith('there are classes that hardly differ: ')
  assert all(c.isprintable() for c in note)


def test_labels_that_hardly_differ_are_noted(tmp_path):
  labels = ('Run', 'run', '1', '1.0', 'a b', 'a  b', 'nan', 'jump')
  listed.touch(tmp_path, *(f'{i}.mp4' for i in range(len(labels))))
  rows = [(f'{i}.mp4', label) for i, label in enumerate(labels)]
  notes = folder.scan(listed.write_csv(tmp_path / 'l.csv', rows)).notes
  assert [note for note in notes if note.startswith('l.csv')] == [
    "l.csv has the label 'nan': is it a missing value?",
    "l.csv has labels that hardly differ: '1', '1.0'",
    "l.csv has labels that hardly differ: 'Run', 'run'",
    "l.csv has labels that hardly differ: 'a  b', 'a b'",
  ]


COMPOSED, PARTED = 'Caf\u00e9', 'Cafe\u0301'


def test_accents_apart_are_one_class(tmp_path):
  listed.touch(tmp_path, f'{COMPOSED}/1.mp4', f'{PARTED}/2.mp4', 'x/3.mp4')
  assert folder.scan(tmp_path, holdout=0).labels == [COMPOSED, 'x']
  rows = [('x/3.mp4', PARTED), (f'{PARTED}/1.mp4', COMPOSED)]
  source = listed.write_csv(tmp_path / 'l.csv', rows)
  for name in (COMPOSED, PARTED):
    labels = tmp_path / 'labels.txt'
    labels.write_text(f'{name}\nx\n')
    listing = folder.scan(source, labels, holdout=0)
    assert listing.labels == [COMPOSED, 'x'] and not listing.excluded
    labels.write_text(json.dumps([name, 'x']))
    assert folder.scan(source, labels).labels == [COMPOSED, 'x']
  # The clip keeps the name that the list gives it, and the file its own.
  (item,) = [item for item in listing.items if '1.mp4' in item.video_id]
  assert item.video_id == f'{PARTED}/1.mp4'
  assert item.path == tmp_path / COMPOSED / '1.mp4'


def test_paths_are_found_in_either_form(tmp_path):
  listed.touch(tmp_path, f'{PARTED}/{COMPOSED}/e\u0301.mp4')
  rows = [
    (f'{a}/{b}/{c}.mp4', 'x')
    for a in (COMPOSED, PARTED)
    for b in (COMPOSED, PARTED)
    for c in ('\u00e9', 'e\u0301')
  ]
  for row in rows:
    listing = folder.scan(
      listed.write_csv(tmp_path / 'l.csv', [row]), holdout=0
    )
    assert len(listing.items) == 1 and not listing.excluded
  listing = folder.scan(listed.write_csv(tmp_path / 'l.csv', rows), holdout=0)
  assert len(listing.items) == 1  # the others are the same file
  assert {why for _, why in listing.excluded} == {
    'is listed more than once; the first row counts'
  }


def test_notes_may_have_several_lines_and_blanks_may_follow_quotes(tmp_path):
  listed.touch(tmp_path, 'a.mp4', 'b.mp4')
  text = (
    'path,label,notes\n"a.mp4" , "x, y" ,"two\nlines, short, of ""text"""  \n'
    '"b.mp4","x, y"\t,\n'
  )
  (tmp_path / 'l.csv').write_text(text)
  listing = folder.scan(tmp_path / 'l.csv', holdout=0)
  assert listed.table(listing) == {
    'a.mp4': ('x, y', 'train'),
    'b.mp4': ('x, y', 'train'),
  }


# A letter of its own, a half composed name, and letters of Korean.
@pytest.mark.parametrize(
  'name', ['\u212b', 'e\u0301\u00e9', '\u1112\u1161\u11ab', '\ufb1d']
)
def test_a_path_is_found_however_it_is_composed(tmp_path, name):
  listed.touch(tmp_path, f'{name}/{name}.mp4')
  for form in ('NFC', 'NFD'):
    row = (unicodedata.normalize(form, f'{name}/{name}.mp4'), 'x')
    source = listed.write_csv(tmp_path / 'l.csv', [row])
    (item,) = folder.scan(source, holdout=0).items
    assert item.path == tmp_path / name / f'{name}.mp4'
  row = (unicodedata.normalize('NFC', f'{name}/gone.mp4'), 'x')
  source = listed.write_csv(tmp_path / 'l.csv', [row])
  listed.fails(source, 'gone.mp4 file does not exist')
