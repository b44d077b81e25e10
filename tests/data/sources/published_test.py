"""Miniatures of the official distributions, in their layouts and names."""

import csv
import json
import shutil

import pytest

from support import helpers
from tsm_jax import errors
from tsm_jax.data.sources import published
from tsm_jax.data.store import build_report, builder, dataset


def write_lines(path, *lines, encoding='utf-8'):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(''.join(f'{line}\n' for line in lines), encoding=encoding)


def write_json(path, content):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(json.dumps(content, ensure_ascii=False), encoding='utf-8')


def write_csv(path, columns, *rows):
  path.parent.mkdir(parents=True, exist_ok=True)
  with open(path, 'w', encoding='utf-8', newline='') as file:
    csv.writer(file).writerows([columns, *rows])


def touch(*paths):
  """Videos that the test does not decode."""
  for path in paths:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b'x')


def table(listing):
  return {i.video_id: (i.label, i.split) for i in listing.items}


def fails(message, *args):
  with pytest.raises(errors.InputError, match=message) as caught:
    published.read(*args)
  assert '\n' not in str(caught.value)


def build(listing, tmp_path, max_excluded=0.0):
  """Builds a listing; returns its path and `{video_id: record}`."""
  plan = builder.Plan(
    listing, tmp_path, tmp_path / 'data', max_excluded=max_excluded
  )
  path = builder.build(plan, lambda line: None)
  splits = {item.split for item in listing.items}
  found = [r for s in splits for r in dataset.open(path).split(s)]
  return path, {r['video_id'].decode(): r for r in found}


# In the order of the official files, which is not that of the classes.
SSV1_LABELS = ('Holding something', 'Closing something', 'Ähnlich, "so"')


def write_20bn_frames(root, name, old_names, labels, unlabelled=True):
  """Something-Something V1 or Jester; the label of video i is i modulo n."""
  prefix = f'{name}-' if old_names else 'labels/'
  write_lines(root / f'{prefix}labels.csv', *labels)
  for kind, ids in (('train', range(1, 7)), ('validation', range(7, 10))):
    rows = [f'{i};{labels[i % len(labels)]}' for i in ids]
    write_lines(root / f'{prefix}{kind}.csv', *rows)
  write_lines(root / f'{prefix}test.csv', '10', '11;')
  if not unlabelled:
    answers = [f'{i};{labels[i % len(labels)]}' for i in (11, 10)]
    write_lines(root / 'labels' / 'test-answers.csv', *answers)
  for i in range(1, 12):
    helpers.write_frames(root / f'20bn-{name}' / str(i), 3, seed=i)


def test_ssv1(tmp_path):
  root = tmp_path / 'Something V1'
  write_20bn_frames(root, 'something-something-v1', True, SSV1_LABELS)
  listing = published.read('ssv1', root)
  assert listing.labels == sorted(SSV1_LABELS)  # as in the TSM checkpoints
  assert listing.labels[0] == 'Closing something' != SSV1_LABELS[0]
  assert listing.notes[:5] == [
    '3 classes, where 174 are published',
    '6 train videos are listed, where 86017 are published',
    '3 val videos are listed, where 11522 are published',
    '2 test videos are listed, where 10960 are published',
    'frames are taken to be 12 per second, as 20BN states',
  ]
  assert listing.notes[5] == '2 test videos have no label and are left out'
  path, found = build(listing, tmp_path)
  assert dataset.open(path).labels == listing.labels
  assert sorted(found) == [str(i) for i in range(1, 10)]
  for name, record in found.items():
    label = SSV1_LABELS[int(name) % 3]
    assert record['label'] == sorted(SSV1_LABELS).index(label)
    assert record['fps'] == 12 and record['num_frames'] == 3
    folder = root / '20bn-something-something-v1' / name
    expected = [(folder / f'{i:05d}.jpg').read_bytes() for i in (1, 2, 3)]
    assert list(record['frames']) == expected
  assert len(dataset.open(path).split('train')) == 6
  assert len(dataset.open(path).split('val')) == 3


JESTER_LABELS = ('Swiping Left', 'Doing other things', 'No gesture')


@pytest.mark.parametrize('old_names', [True, False])
def test_jester(tmp_path, old_names):
  write_20bn_frames(tmp_path, 'jester-v1', old_names, JESTER_LABELS, False)
  listing = published.read('jester', tmp_path)
  assert listing.labels == ['Doing other things', 'No gesture', 'Swiping Left']
  splits = ['train'] * 6 + ['val'] * 3 + ['test'] * 2
  assert table(listing) == {
    str(i): (JESTER_LABELS[i % 3], split) for i, split in enumerate(splits, 1)
  }
  assert '11 test' not in ' '.join(listing.notes)
  assert listing.fps == 12 and listing.excluded == []


def test_a_repack_with_other_lists_is_refused(tmp_path):
  write_20bn_frames(tmp_path, 'jester-v1', True, JESTER_LABELS)
  write_lines(
    tmp_path / 'jester-v1-train.csv',
    'video_id,label,frames,label_id,shape,format',
    '1,Swiping Left,37,0,"(100, 176)",jpg',
  )
  fails('has a header and commas', 'jester', tmp_path)


def test_frames_that_are_damaged_or_missing(tmp_path):
  write_20bn_frames(tmp_path, 'jester-v1', True, JESTER_LABELS)
  frames = tmp_path / '20bn-jester-v1'
  (frames / '1' / '00002.jpg').unlink()
  helpers.write_frames(frames / '2', 30)
  (frames / '2' / '00004.jpg').write_bytes(b'no image')
  (frames / '3').rename(frames / '3333')
  listing = published.read('jester', tmp_path)
  assert listing.excluded == [('3', 'file does not exist')]
  path, found = build(listing, tmp_path, max_excluded=0.5)
  report = dataset.open(path).report
  assert dict(report['excluded']) == {
    '1': '2 of 3 images are good: image 2 is missing',
    '3': 'file does not exist',
  }
  ((name, damage),) = report['damaged']
  assert name == '2' and damage.startswith('29 of 30 images are good: 00004')
  assert sorted(found) == ['2', '4', '5', '6', '7', '8', '9']


# The order of this JSON is neither sorted nor that of its numbers.
SSV2_LABELS = {
  'Putting something on a surface': '2',
  'Zooming on something': '0',
  'Bending something until it breaks': '1',
}


@pytest.mark.parametrize('old_names', [True, False])
@pytest.mark.parametrize('answers', [True, False])
def test_ssv2(tmp_path, old_names, answers):
  prefix = 'something-something-v2-' if old_names else 'labels/'
  write_json(tmp_path / f'{prefix}labels.json', SSV2_LABELS)
  labels = list(SSV2_LABELS)
  for kind, ids in (('train', (1, 2, 3)), ('validation', (4, 5))):
    rows = [
      {
        'id': str(i),
        'label': labels[i % 3].replace('something', 'a red cup (new)'),
        'template': labels[i % 3].replace('something', '[something]'),
        'placeholders': ['a red cup (new)'],
      }
      for i in ids
    ]
    write_json(tmp_path / f'{prefix}{kind}.json', rows)
  write_json(tmp_path / f'{prefix}test.json', [{'id': '6'}, {'id': '7'}])
  if answers:
    rows = [f'{i};{labels[i % 3]}' for i in (7, 6)]
    write_lines(tmp_path / 'labels' / 'test-answers.csv', *rows)
  videos = tmp_path / '20bn-something-something-v2'
  for i in range(1, 8):
    helpers.write_video(
      videos / f'{i}.webm', 4, codec='libvpx-vp9', options={'crf': '40'}
    )
  listing = published.read('ssv2', tmp_path)
  assert listing.labels == [labels[1], labels[2], labels[0]]
  _, found = build(listing, tmp_path)
  known = range(1, 8) if answers else range(1, 6)
  assert sorted(found) == [str(i) for i in known]
  for name, record in found.items():
    assert record['label'] == int(SSV2_LABELS[labels[int(name) % 3]])
    assert record['num_frames'] == 4 and record['fps'] == 24
  splits = ['train'] * 3 + ['val'] * 2 + ['test'] * 2
  expected = {str(i): s for i, s in enumerate(splits, 1) if i in known}
  assert {i.video_id: i.split for i in listing.items} == expected
  left_out = '2 test videos have no label and are left out' in listing.notes
  assert left_out == (not answers)


KINETICS = ('label', 'youtube_id', 'time_start', 'time_end', 'split')


def kinetics_rows():
  """Ids that look like options, ids of one video, a class with a quote."""
  train = [
    ('zumba', '-aB_c', 1, 11, 'train'),
    ("massaging person's head", '__x-1', 0, 10, 'train'),
    ('zumba', 'same', 0, 10, 'train'),
    ('archery', 'same', 123, 133, 'train'),
  ]
  val = [('archery', '-v', 7, 17, 'validate'), ('zumba', '_w', 8, 18, 'val')]
  return train, val


def kinetics_name(row):
  return f'{row[1]}_{row[2]:06d}_{row[3]:06d}'


@pytest.mark.parametrize('layout', ['flat', 'spaces', 'underscores'])
@pytest.mark.parametrize('val_name', ['val', 'validate'])
def test_kinetics(tmp_path, layout, val_name):
  train, val = kinetics_rows()
  write_csv(tmp_path / 'annotations' / 'train.csv', KINETICS, *train)
  write_csv(tmp_path / 'annotations' / f'{val_name}.csv', KINETICS, *val)
  write_csv(
    tmp_path / 'annotations' / 'test.csv',
    KINETICS[1:],
    *[row[1:] for row in (('', 't', 0, 10, 'test'),)],
  )
  for split, rows in (('train', train), (val_name, val)):
    for row in rows:
      folder = {
        'flat': '',
        'spaces': row[0],
        'underscores': row[0].replace(' ', '_'),
      }[layout]
      path = tmp_path / split / folder / f'{kinetics_name(row)}.mp4'
      helpers.write_video(path, 4)
  touch(tmp_path / 'train' / 'not_listed_000000_000010.mp4')
  listing = published.read('kinetics400', tmp_path)
  assert listing.labels == ['archery', "massaging person's head", 'zumba']
  expected = {kinetics_name(row): (row[0], 'train') for row in train}
  expected.update({kinetics_name(row): (row[0], 'val') for row in val})
  assert table(listing) == expected and listing.excluded == []
  assert listing.notes[:3] == [
    '3 classes, where 400 are published',
    '4 train videos are listed, where 246534 are published',
    '2 val videos are listed, where 19906 are published',
  ]
  assert listing.notes[3] == (
    '1 videos are in no list and ignored: not_listed_000000_000010'
  )
  assert '1 test videos have no label and are left out' in listing.notes
  _, found = build(listing, tmp_path)
  assert {
    name: listing.labels[record['label']] for name, record in found.items()
  } == {name: label for name, (label, _) in expected.items()}


def test_kinetics_chooses_among_files_of_one_name(tmp_path):
  rows = [('a', 'x', 0, 10, ''), ('a', 'y', 0, 10, ''), ('a', 'z', 0, 10, '')]
  write_csv(tmp_path / 'k700' / 'train.csv', KINETICS, *rows)
  write_csv(tmp_path / 'k700' / 'val.csv', KINETICS, rows[1])
  name = '{}/{}_000000_000010.mp4'
  replaced = 'replacement/replacement_for_corrupted_k400'
  for folder, video in (
    ('train', 'x'),
    (replaced, 'x'),
    ('val', 'y'),
    ('train', 'y'),
  ):
    touch(tmp_path / name.format(folder, video))
  listing = published.read('kinetics700', tmp_path)
  chosen = {
    (i.video_id[0], i.split): str(i.path.relative_to(tmp_path))
    for i in listing.items
  }
  assert chosen == {
    ('x', 'train'): name.format(replaced, 'x'),
    ('y', 'train'): name.format('train', 'y'),
    ('y', 'val'): name.format('val', 'y'),
  }
  assert listing.excluded == [('z_000000_000010', 'file does not exist')]
  assert '1 videos are their published replacements' in listing.notes
  # Editions of Kinetics-700 differ in their counts, not in their classes.
  assert listing.notes[0] == '1 classes, where 700 are published'
  assert 'are listed' not in ' '.join(listing.notes)


def test_kinetics_lists_that_cannot_be_used(tmp_path):
  touch(tmp_path / 'train' / 'a class' / 'x_000000_000010.mp4')
  fails("one train.csv .*found: none; .*NAME 'folder'", 'kinetics400', tmp_path)
  write_csv(tmp_path / 'train.csv', ('label', 'id'), ('a', 'x'))
  fails("train.csv' .*no column 'youtube_id'", 'kinetics400', tmp_path)
  write_csv(tmp_path / 'train.csv', KINETICS, ('a', 'x', '', '10', ''))
  fails("train.csv' cannot be read: could not", 'kinetics400', tmp_path)
  write_csv(tmp_path / 'annotations' / 'train.csv', KINETICS)
  fails(r'found: .*train.csv, .*train.csv', 'kinetics400', tmp_path)


UCF_CLASSES = ('Hammering', 'HammerThrow', 'HandstandPushups')


def write_ucf101(root):
  lists = root / 'ucfTrainTestlist'
  # As published: not sorted, and with the line ends of another system.
  assert sorted(UCF_CLASSES) != list(UCF_CLASSES)
  write_lines(
    lists / 'classInd.txt',
    *[f'{i} {c}\r' for i, c in enumerate(UCF_CLASSES, 1)],
  )
  for split in (1, 2, 3):
    train, test = [], []
    for number, name in enumerate(UCF_CLASSES, 1):
      stem = name.replace('stand', 'Stand')  # so are the files called
      for group in (1, 2, 3):
        video = f'{name}/v_{stem}_g{group:02d}_c01.avi'
        path = root / 'UCF-101' / video
        if not path.exists():
          helpers.write_video(path, 3, codec='mpeg4', options={'qscale': '3'})
        if group == split:
          test.append(video)
        else:
          train.append(f'{video} {number}')
    write_lines(lists / f'trainlist0{split}.txt', *train)
    write_lines(lists / f'testlist0{split}.txt', *test)


def test_ucf101(tmp_path):
  write_ucf101(tmp_path)
  held_out = set()
  for split in (1, 2, 3):
    listing = published.read('ucf101', tmp_path, split)
    assert listing.labels == list(UCF_CLASSES)
    splits = {i.video_id: i.split for i in listing.items}
    assert len(splits) == 9 and listing.excluded == []
    val = {name for name, s in splits.items() if s == 'val'}
    assert all(f'_g0{split}_' in name for name in val) and len(val) == 3
    held_out |= val
    assert {
      f'6 train videos are listed, where {n} are published'
      for n in [(9537, 9586, 9624)[split - 1]]
    } <= set(listing.notes)
  assert len(held_out) == 9
  _, found = build(published.read('ucf101', tmp_path), tmp_path)
  for name, record in found.items():
    assert UCF_CLASSES[record['label']] == name.split('/')[0]
  fails('--split is 4; ucf101 has 1 to 3', 'ucf101', tmp_path, 4)


def test_ucf101_lists_that_contradict_themselves(tmp_path):
  write_ucf101(tmp_path)
  path = tmp_path / 'ucfTrainTestlist' / 'trainlist01.txt'
  text = path.read_text().replace('g02_c01.avi 1', 'g02_c01.avi 2')
  path.write_text(text.replace('HammerThrow/', 'Hammerthrow/'))
  (tmp_path / 'UCF-101' / 'HammerThrow').rename(
    tmp_path / 'UCF-101' / 'Hammerthrow'
  )
  listing = published.read('ucf101', tmp_path)
  wrong = 'Hammering/v_Hammering_g02_c01.avi'
  assert f'{wrong} has the number 2, but is no such class' in listing.notes
  found = table(listing)
  assert found[wrong][0] == 'Hammering'
  other = 'Hammerthrow/v_HammerThrow_g02_c01.avi'
  assert found[other] == ('HammerThrow', 'train')
  index = path.with_name('classInd.txt')
  write_lines(index, '0 Hammering', '1 HammerThrow')
  fails('does not number its classes from 1 on', 'ucf101', tmp_path)


def test_hmdb51(tmp_path):
  # With its ending, the list of sword comes after that of sword_exercise.
  names = {
    'sword': ['a(b)!_f_1.avi', "it's ; & $HOME #.avi", 'größe.avi'],
    'sword_exercise': ['x 1.avi', 'x 2.avi', 'x 3.avi'],
  }
  for label, videos in names.items():
    for split in (1, 2, 3):
      uses = [(1, 2, 0), (2, 0, 1), (0, 1, 2)][split - 1]
      write_lines(
        tmp_path
        / 'testTrainMulti_7030_splits'
        / f'{label}_test_split{split}.txt',
        *[f'{video} {use} ' for video, use in zip(videos, uses)],
      )
    for video in videos:
      helpers.write_video(tmp_path / 'hmdb51_org' / label / video, 3)
  for split, (train, val) in {1: (0, 1), 2: (2, 0), 3: (1, 2)}.items():
    listing = published.read('hmdb51', tmp_path, split)
    assert listing.labels == ['sword', 'sword_exercise']
    expected = {}
    for label, videos in names.items():
      expected[f'{label}/{videos[train]}'] = (label, 'train')
      expected[f'{label}/{videos[val]}'] = (label, 'val')
    assert table(listing) == expected
    unused = f'2 videos are in neither list of split {split}'
    assert unused in listing.notes
    assert '2 val videos are listed, where 1530 are published' in listing.notes
  _, found = build(listing, tmp_path)
  assert {name: record['label'] for name, record in found.items()} == {
    name: listing.labels.index(label) for name, (label, _) in expected.items()
  }
  path = tmp_path / 'testTrainMulti_7030_splits' / 'sword_test_split1.txt'
  write_lines(path, 'a.avi 3')
  fails("the line 'a.avi 3'; it must end", 'hmdb51', tmp_path)


@pytest.mark.parametrize('folder', ['rgb', 'videos'])
def test_diving48(tmp_path, folder):
  vocabulary = [['Back', '15som', '05Twis', 'FREE'], ['Back', 'Dive', 'PIKE']]
  rows = {
    'train': [('-mm_00155', 1), ('_8V_00000', 0)],
    'test': [('x_00001', 1), ('x_00002', 2)],
  }
  for kind, pairs in rows.items():
    content = [
      {'vid_name': name, 'label': label, 'start_frame': 0, 'end_frame': 5}
      for name, label in pairs
    ]
    write_json(tmp_path / f'Diving48_V2_{kind}.json', content)
    for name, _ in pairs:
      helpers.write_video(tmp_path / folder / f'{name}.mp4', 5)
  listing = published.read('diving48', tmp_path)
  assert listing.labels == ['0', '1', '2']
  assert 'its classes are numbers' in ' '.join(listing.notes)
  write_json(tmp_path / 'Diving48_vocab.json', vocabulary)
  listing = published.read('diving48', tmp_path)
  assert listing.labels == ['Back 15som 05Twis FREE', 'Back Dive PIKE']
  reason = "has the label '2', which is not in the label map"
  assert listing.excluded == [('x_00002', reason)]
  _, found = build(listing, tmp_path, max_excluded=0.25)
  assert {name: record['label'] for name, record in found.items()} == {
    '-mm_00155': 1,
    '_8V_00000': 0,
    'x_00001': 1,
  }
  assert table(listing)['x_00001'][1] == 'val'


@pytest.mark.parametrize('frames', ['.', 'frames'])
def test_frame_lists(tmp_path, frames):
  write_lines(tmp_path / 'category.txt', 'Zooming', 'Bending a thing')
  write_lines(tmp_path / 'train_videofolder.txt', 'a b 4 1', 'c 5 0', 'd 30 0')
  write_lines(tmp_path / 'val_videofolder.txt', 'e 4 0', 'f 6 1')
  write_lines(tmp_path / 'train_videofolder_flow.txt', '000001 8 1')
  template = 'img_{:05d}.jpg'
  for name, count in (('a b', 4), ('c', 5), ('d', 29), ('e', 6), ('f', 3)):
    helpers.write_frames(tmp_path / frames / name, count, template)
  listing = published.read('frame_lists', tmp_path)
  assert listing.labels == ['Zooming', 'Bending a thing']
  path, found = build(listing, tmp_path, max_excluded=0.2)
  assert {name: record['label'] for name, record in found.items()} == {
    'a b': 1,
    'c': 0,
    'd': 0,
    'e': 0,
  }
  report = dataset.open(path).report
  assert report['damaged'] == [['d', 'has 29 frames, its list 30']]
  assert report['excluded'] == [['f', 'has 3 frames, its list 6']]
  # The official code sees no more than the list knows of.
  record = found['e']
  assert record['num_frames'] == 4
  assert list(record['frames']) == [
    (tmp_path / frames / 'e' / template.format(i)).read_bytes()
    for i in range(1, 5)
  ]
  reason = 'has 6 frames, its list 4: the first 4 are used'
  assert report['cut'] == [['e', reason]]
  assert f'  cut: e: {reason}' in list(build_report.describe(report))


@pytest.mark.parametrize(
  ('name', 'files'),
  [('flow_{}_{:05d}.jpg', 1), ('000001-{}_{:05d}.jpg', 2)],
)
def test_frame_lists_of_flow(tmp_path, name, files):
  # Those of Something-Something V1 count the files of x and of y.
  write_lines(tmp_path / 'category.txt', 'Zooming', 'Bending a thing')
  write_lines(tmp_path / 'train_videofolder.txt', '000001 9 0')
  for kind, clip in (('train', '1'), ('val', '2')):
    count = 6 * files
    write_lines(tmp_path / f'{kind}_videofolder_flow.txt', f'{clip} {count} 1')
    helpers.write_flow(tmp_path / 'flow' / clip.zfill(6), 6, name)
  listing = published.read('frame_lists', tmp_path, modality='flow')
  assert [item.num_frames for item in listing.items] == [6, 6]
  path, found = build(listing, tmp_path)
  assert found['1']['label'] == 1
  assert found['2']['num_frames'] == 6
  assert len(found['2']['frames']) == 12
  report = dataset.open(path).report
  assert report['modality'] == 'flow' and not report['damaged']
  (tmp_path / 'train_videofolder_flow.txt').unlink()
  with pytest.raises(errors.InputError, match='such as train_videofolder_flow'):
    published.read('frame_lists', tmp_path, modality='flow')


def test_frame_lists_of_one_split_with_numbered_classes(tmp_path):
  write_lines(tmp_path / 'labels' / 'classInd.txt', '1 B', '2 A')
  for split in (1, 2):
    for kind in ('train', 'val'):
      write_lines(
        tmp_path / 'file_list' / f'ucf101_rgb_{kind}_split_{split}.txt',
        f'v_{kind}_{split} 3 1',
      )
      helpers.write_frames(tmp_path / 'jpg' / f'v_{kind}_{split}', 3)
  listing = published.read('frame_lists', tmp_path, 2)
  assert listing.labels == ['B', 'A']
  assert table(listing) == {
    'v_train_2': ('A', 'train'),
    'v_val_2': ('A', 'val'),
  }
  fails('must hold one train list .*found: none', 'frame_lists', tmp_path, 3)
  path = tmp_path / 'file_list' / 'ucf101_rgb_val_split_1.txt'
  write_lines(path, 'v 3 2')
  fails("line 'v 3 2'; .* label below 2", 'frame_lists', tmp_path, 1)


def test_what_is_not_there_is_named(tmp_path):
  fails("NAME is 'k400'; choose from ssv1, ssv2", 'k400', tmp_path)
  fails("is '.*none', but no such", 'ssv2', tmp_path / 'none')
  fails('--split is 2; ssv2 has 1 alone', 'ssv2', tmp_path, 2)
  for name, file in {
    'ssv1': 'something-something-v1-labels.csv or labels.csv',
    'ssv2': 'something-something-v2-labels.json or labels.json',
    'jester': 'jester-v1-labels.csv or labels.csv',
    'ucf101': 'ucfTrainTestlist',
    'hmdb51': 'testTrainMulti_7030_splits or',
    'diving48': 'Diving48_V2_train.json',
  }.items():
    fails(f'holds no {file}', name, tmp_path)
  fails('must hold one train list such as', 'frame_lists', tmp_path)
  write_20bn_frames(tmp_path, 'jester-v1', True, JESTER_LABELS)
  (tmp_path / '20bn-jester-v1').rename(tmp_path / 'elsewhere')
  fails('no labelled video of jester is found: 1 file', 'jester', tmp_path)
  write_lines(tmp_path / 'something-something-v2-labels.json', '{"a": "1"}')
  fails('does not number its labels from 0', 'ssv2', tmp_path)
  write_lines(tmp_path / 'something-something-v2-labels.json', '["a"]')
  fails('holds a list, where a dict is expected', 'ssv2', tmp_path)


def test_lists_of_another_shape_are_sentences(tmp_path):
  write_ucf101(tmp_path)
  path = tmp_path / 'ucfTrainTestlist' / 'classInd.txt'
  text = path.read_text()
  path.write_text(text + '4\n')
  fails(
    "has the line '4'; it must be a number and the name", 'ucf101', tmp_path
  )
  path.write_text(text)
  (path.parent / 'testlist01.txt').unlink()
  fails(
    f"--manual_dir is '{tmp_path}', which holds no ucfTrainTestlist/testlist01",
    'ucf101',
    tmp_path,
  )
  for kind in ('train', 'test'):
    write_json(
      tmp_path / f'Diving48_V2_{kind}.json', [{'vid_name': 'a', 'label': 0}]
    )
  for vocabulary in ([1, 2], [None], [['Back', 1]]):
    write_json(tmp_path / 'Diving48_vocab.json', vocabulary)
    fails('it must be text or an array of texts', 'diving48', tmp_path)


@pytest.mark.parametrize('place', ['img', '.', 'frames/v1/img'])
def test_frame_lists_whose_paths_start_elsewhere(tmp_path, place):
  rows = ['something/v1/img/7 4 1', 'something/v1/img/8 4 0']
  write_lines(tmp_path / 'category.txt', 'Zooming', 'Bending')
  write_lines(tmp_path / 'train_videofolder.txt', *rows)
  for name in ('7', '8'):
    helpers.write_frames(tmp_path / place / name, 4, seed=int(name))
  listing = published.read('frame_lists', tmp_path)
  assert {i.video_id: i.label for i in listing.items} == {
    'something/v1/img/7': 'Bending',
    'something/v1/img/8': 'Zooming',
  }
  assert [i.path for i in listing.items] == [
    tmp_path / place / name for name in ('7', '8')
  ]
  assert 'found without their start' in listing.notes[0]
  # Not by guessing where some are missing.
  shutil.rmtree(tmp_path / place / '8')
  fails('no labelled video of frame_lists', 'frame_lists', tmp_path)


def test_frame_lists_without_names_of_classes(tmp_path):
  write_lines(tmp_path / 'train_videofolder.txt', 'a 4 2', 'b 4 0', 'c 4 1')
  for seed, name in enumerate('abc'):
    helpers.write_frames(tmp_path / name, 4, 'img_{:05d}.jpg', seed=seed)
  listing = published.read('frame_lists', tmp_path)
  assert listing.labels == ['0', '1', '2']
  assert [i.label for i in listing.items] == ['2', '0', '1']
  assert 'there is no category.txt: its classes are numbers' in listing.notes
