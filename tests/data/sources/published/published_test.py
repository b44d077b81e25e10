"""Miniatures of the official distributions, in their layouts and names."""

from support import miniatures


def test_what_is_not_there_is_named(tmp_path):
  miniatures.fails("NAME is 'k400'; choose from ssv1, ssv2", 'k400', tmp_path)
  miniatures.fails("is '.*none', but no such", 'ssv2', tmp_path / 'none')
  miniatures.fails('--split is 2; ssv2 has only 1', 'ssv2', tmp_path, 2)
  for name, file in {
    'ssv1': 'something-something-v1-labels.csv or labels.csv',
    'ssv2': 'something-something-v2-labels.json or labels.json',
    'jester': 'jester-v1-labels.csv or labels.csv',
    'ucf101': 'ucfTrainTestlist',
    'hmdb51': 'testTrainMulti_7030_splits or',
    'diving48': 'Diving48_V2_train.json',
  }.items():
    miniatures.fails(f'holds no {file}', name, tmp_path)
  miniatures.fails('must hold one train list such as', 'frame_lists', tmp_path)
  miniatures.write_20bn_frames(
    tmp_path, 'jester-v1', True, miniatures.JESTER_LABELS
  )
  (tmp_path / '20bn-jester-v1').rename(tmp_path / 'elsewhere')
  miniatures.fails(
    r'video of jester is found as 20bn-jester-v1/\{id\}/\*.jpg, but '
    'elsewhere/1/00001.jpg, .* lie there: 1 file does',
    'jester',
    tmp_path,
  )
  miniatures.write_lines(
    tmp_path / 'something-something-v2-labels.json', '{"a": "1"}'
  )
  miniatures.fails('does not number its labels from 0', 'ssv2', tmp_path)
  miniatures.write_lines(
    tmp_path / 'something-something-v2-labels.json', '["a"]'
  )
  miniatures.fails('holds a list, where a dict is expected', 'ssv2', tmp_path)


def test_a_name_of_a_class_is_a_plain_line(tmp_path):
  miniatures.write_lines(tmp_path / 'category.txt', 'run', 'to\tswim')
  miniatures.write_lines(tmp_path / 'train_videofolder.txt', 'a 4 0')
  message = r"whose lists name the class 'to\\tswim'; a name that holds a line"
  miniatures.fails(message, 'frame_lists', tmp_path)
