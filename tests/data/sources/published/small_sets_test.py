import pytest

from support import helpers, miniatures
from tsm_jax.data.sources import published


def test_ucf101(tmp_path):
  miniatures.write_ucf101(tmp_path)
  held_out = set()
  for split in (1, 2, 3):
    listing = published.read('ucf101', tmp_path, split)
    assert listing.labels == list(miniatures.UCF_CLASSES)
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
  _, found = miniatures.build(published.read('ucf101', tmp_path), tmp_path)
  for name, record in found.items():
    assert miniatures.UCF_CLASSES[record['label']] == name.split('/')[0]
  miniatures.fails('--split is 4; ucf101 has 1 to 3', 'ucf101', tmp_path, 4)


def test_ucf101_lists_that_contradict_themselves(tmp_path):
  miniatures.write_ucf101(tmp_path)
  path = tmp_path / 'ucfTrainTestlist' / 'trainlist01.txt'
  text = path.read_text().replace('g02_c01.avi 1', 'g02_c01.avi 2')
  path.write_text(text.replace('HammerThrow/', 'Hammerthrow/'))
  (tmp_path / 'UCF-101' / 'HammerThrow').rename(
    tmp_path / 'UCF-101' / 'Hammerthrow'
  )
  listing = published.read('ucf101', tmp_path)
  wrong = 'Hammering/v_Hammering_g02_c01.avi'
  assert (
    f'{wrong} has the number 2, which is not that of its class' in listing.notes
  )
  found = miniatures.table(listing)
  assert found[wrong][0] == 'Hammering'
  other = 'Hammerthrow/v_HammerThrow_g02_c01.avi'
  assert found[other] == ('HammerThrow', 'train')
  index = path.with_name('classInd.txt')
  miniatures.write_lines(index, '0 Hammering', '1 HammerThrow')
  miniatures.fails('does not number its classes from 1 on', 'ucf101', tmp_path)


def test_hmdb51(tmp_path):
  # With its ending, the list of sword comes after that of sword_exercise.
  names = {
    'sword': ['a(b)!_f_1.avi', "it's ; & $HOME #.avi", 'größe.avi'],
    'sword_exercise': ['x 1.avi', 'x 2.avi', 'x 3.avi'],
  }
  for label, videos in names.items():
    for split in (1, 2, 3):
      uses = [(1, 2, 0), (2, 0, 1), (0, 1, 2)][split - 1]
      miniatures.write_lines(
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
    assert miniatures.table(listing) == expected
    unused = f'2 videos are in neither list of split {split}'
    assert unused in listing.notes
    assert '2 val videos are listed, where 1530 are published' in listing.notes
  _, found = miniatures.build(listing, tmp_path)
  assert {name: record['label'] for name, record in found.items()} == {
    name: listing.labels.index(label) for name, (label, _) in expected.items()
  }
  path = tmp_path / 'testTrainMulti_7030_splits' / 'sword_test_split1.txt'
  miniatures.write_lines(path, 'a.avi 3')
  miniatures.fails("the line 'a.avi 3'; it must end", 'hmdb51', tmp_path)


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
    miniatures.write_json(tmp_path / f'Diving48_V2_{kind}.json', content)
    for name, _ in pairs:
      helpers.write_video(tmp_path / folder / f'{name}.mp4', 5)
  listing = published.read('diving48', tmp_path)
  assert listing.labels == ['0', '1', '2']
  assert 'its classes are numbers' in ' '.join(listing.notes)
  miniatures.write_json(tmp_path / 'Diving48_vocab.json', vocabulary)
  listing = published.read('diving48', tmp_path)
  assert listing.labels == ['Back 15som 05Twis FREE', 'Back Dive PIKE']
  reason = "has the label '2', which is not in the label map"
  assert listing.excluded == [('x_00002', reason)]
  _, found = miniatures.build(listing, tmp_path, max_excluded=0.25)
  assert {name: record['label'] for name, record in found.items()} == {
    '-mm_00155': 1,
    '_8V_00000': 0,
    'x_00001': 1,
  }
  assert miniatures.table(listing)['x_00001'][1] == 'val'


def test_lists_of_another_shape_are_sentences(tmp_path):
  miniatures.write_ucf101(tmp_path)
  path = tmp_path / 'ucfTrainTestlist' / 'classInd.txt'
  text = path.read_text()
  path.write_text(text + '4\n')
  miniatures.fails(
    "has the line '4'; it must be a number and the name", 'ucf101', tmp_path
  )
  path.write_text(text)
  (path.parent / 'testlist01.txt').unlink()
  miniatures.fails(
    f"--manual_dir is '{tmp_path}', which holds no ucfTrainTestlist/testlist01",
    'ucf101',
    tmp_path,
  )
  for kind in ('train', 'test'):
    miniatures.write_json(
      tmp_path / f'Diving48_V2_{kind}.json', [{'vid_name': 'a', 'label': 0}]
    )
  for vocabulary in ([1, 2], [None], [['Back', 1]]):
    miniatures.write_json(tmp_path / 'Diving48_vocab.json', vocabulary)
    miniatures.fails(
      'it must be text or an array of texts', 'diving48', tmp_path
    )


def test_hmdb51_in_another_container(tmp_path):
  helpers.write_hmdb51(tmp_path)
  for path in tmp_path.glob('hmdb51_org/*/*.avi'):
    path.rename(path.with_suffix('.mp4'))
  listing = published.read('hmdb51', tmp_path)
  assert len(listing.items) == 6 and not listing.excluded
  assert '6 videos have another ending than published' in listing.notes
