import pytest

from support import helpers, miniatures
from tsm_jax.data.sources import published

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
  miniatures.write_csv(tmp_path / 'annotations' / 'train.csv', KINETICS, *train)
  miniatures.write_csv(
    tmp_path / 'annotations' / f'{val_name}.csv', KINETICS, *val
  )
  miniatures.write_csv(
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
  miniatures.touch(tmp_path / 'train' / 'not_listed_000000_000010.mp4')
  listing = published.read('kinetics400', tmp_path)
  assert listing.labels == ['archery', "massaging person's head", 'zumba']
  expected = {kinetics_name(row): (row[0], 'train') for row in train}
  expected.update({kinetics_name(row): (row[0], 'val') for row in val})
  assert miniatures.table(listing) == expected and listing.excluded == []
  assert listing.notes[:3] == [
    '3 classes, where 400 are published',
    '4 train videos are listed, where 246534 are published',
    '2 val videos are listed, where 19906 are published',
  ]
  assert listing.notes[3] == (
    '1 videos are in no list and ignored: not_listed_000000_000010'
  )
  assert '1 test videos have no label and are left out' in listing.notes
  _, found = miniatures.build(listing, tmp_path)
  assert {
    name: listing.labels[record['label']] for name, record in found.items()
  } == {name: label for name, (label, _) in expected.items()}


def test_kinetics_chooses_among_files_of_one_name(tmp_path):
  rows = [('a', 'x', 0, 10, ''), ('a', 'y', 0, 10, ''), ('a', 'z', 0, 10, '')]
  miniatures.write_csv(tmp_path / 'k700' / 'train.csv', KINETICS, *rows)
  miniatures.write_csv(tmp_path / 'k700' / 'val.csv', KINETICS, rows[1])
  name = '{}/{}_000000_000010.mp4'
  replaced = 'replacement/replacement_for_corrupted_k400'
  for folder, video in (
    ('train', 'x'),
    (replaced, 'x'),
    ('val', 'y'),
    ('train', 'y'),
  ):
    miniatures.touch(tmp_path / name.format(folder, video))
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
  miniatures.touch(tmp_path / 'train' / 'a class' / 'x_000000_000010.mp4')
  miniatures.fails(
    "one train.csv .*found: none; .*NAME 'folder'", 'kinetics400', tmp_path
  )
  miniatures.write_csv(tmp_path / 'train.csv', ('label', 'id'), ('a', 'x'))
  miniatures.fails(
    "train.csv' .*no column 'youtube_id'", 'kinetics400', tmp_path
  )
  miniatures.write_csv(
    tmp_path / 'train.csv', KINETICS, ('a', 'x', '', '10', '')
  )
  miniatures.fails(
    "train.csv' cannot be read: could not", 'kinetics400', tmp_path
  )
  (tmp_path / 'train.csv').write_text(
    ','.join(KINETICS[1:4]) + ',label\nx,0,10,talking, loudly\n'
  )
  miniatures.fails('row 1 has more fields than col', 'kinetics400', tmp_path)
  miniatures.write_csv(tmp_path / 'annotations' / 'train.csv', KINETICS)
  miniatures.fails(r'found: .*train.csv, .*train.csv', 'kinetics400', tmp_path)


@pytest.mark.parametrize('form', ['{0}_{1}_{2}', '{0}_{1}.0_{2}.0', '{0}'])
def test_kinetics_without_zeros_or_times(tmp_path, form):
  rows = [
    ('x', '-a_1', 1, 11, ''),
    ('y', 'b', 5, 15, ''),
    ('y', 'c', 0, 10, ''),
  ]
  miniatures.write_csv(tmp_path / 'train.csv', KINETICS, *rows[:2])
  miniatures.write_csv(tmp_path / 'val.csv', KINETICS, rows[2])
  for row in rows:
    miniatures.touch(tmp_path / 'all' / f'{form.format(*row[1:])}.mp4')
  listing = published.read('kinetics400', tmp_path)
  assert {i.video_id: i.path.stem for i in listing.items} == {
    kinetics_name(row): form.format(*row[1:]) for row in rows
  }
  untimed = [note for note in listing.notes if 'no times in their' in note]
  assert untimed == (
    [
      '3 videos have no times in their names: they are taken to be the clips, '
      'already cut'
    ]
    if form == '{0}'
    else []
  )


def test_a_video_with_several_clips_needs_times(tmp_path):
  rows = [('x', 'a', 1, 11, ''), ('y', 'a', 20, 30, ''), ('y', 'b', 0, 10, '')]
  miniatures.write_csv(tmp_path / 'train.csv', KINETICS, *rows)
  miniatures.write_csv(tmp_path / 'val.csv', KINETICS)
  miniatures.touch(tmp_path / 'a.mp4', tmp_path / 'b.mp4')
  listing = published.read('kinetics400', tmp_path)
  assert [item.video_id for item in listing.items] == ['b_000000_000010']
  assert len(listing.excluded) == 2


def test_kinetics_classes_that_are_integers(tmp_path):
  rows = [(str(i), f'v{i}', 0, 10, '') for i in range(12)]
  miniatures.write_csv(tmp_path / 'train.csv', KINETICS, *rows)
  miniatures.write_csv(tmp_path / 'val.csv', KINETICS)
  miniatures.touch(*(tmp_path / f'{kinetics_name(row)}.mp4' for row in rows))
  listing = published.read('kinetics400', tmp_path)
  assert listing.labels == [str(i) for i in range(12)]
