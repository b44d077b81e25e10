import pytest

from support import listed
from tsm_jax.data.sources import folder


@pytest.mark.parametrize(
  'name, split',
  [
    *(('eval', 'val'), ('Evaluation', 'val'), ('validate', 'val')),
    *(('dev', 'val'), ('test', 'test'), ('testing', 'test')),
  ],
)
def test_names_of_splits(tmp_path, name, split):
  listed.touch(tmp_path, 'train/run/a.mp4', f'{name}/run/b.mp4')
  assert listed.table(folder.scan(tmp_path)) == {
    'train/run/a.mp4': ('run', 'train'),
    f'{name}/run/b.mp4': ('run', split),
  }


@pytest.mark.parametrize(
  'classes',
  [('bus', 'car', 'train'), ('Train', 'bus'), ('dev', 'a', 'b')],
)
@pytest.mark.parametrize('clip', ['1.mp4', '1/00001.jpg'])
def test_a_class_may_be_called_as_a_split(tmp_path, classes, clip):
  listed.touch(tmp_path, *(f'{name}/{clip}' for name in classes))
  listing = folder.scan(tmp_path, holdout=0)
  assert listing.labels == sorted(classes) and not listing.notes


def test_deeper_classes_called_as_other_splits(tmp_path):
  listed.touch(tmp_path, *(f'{c}/deep/1.mp4' for c in ('testing', 'coding')))
  assert folder.scan(tmp_path, holdout=0).labels == ['coding', 'testing']


def test_what_may_be_a_split_or_a_class_is_asked(tmp_path):
  listed.touch(tmp_path, 'train/x/1.mp4', 'bus/x/1.mp4')
  message = "holds {}, called as splits, beside 'bus': rename them if they are"
  listed.fails(tmp_path, message.format("'train'"))
  listed.touch(tmp_path / 'flat', 'train/1.mp4', 'val/1.mp4', 'bus/1.mp4')
  listed.fails(tmp_path / 'flat', message.format("'train', 'val'"))


def test_splits_below_the_classes_are_told(tmp_path):
  names = [f'{c}/{s}/1.mp4' for c in 'ab' for s in ('train', 'test')]
  listed.touch(tmp_path / 'x', *names, 'c/1.mp4')
  assert folder.scan(tmp_path / 'x', holdout=0).notes == [
    "the folders of splits below 2 classes, as 'a', are taken for one; only "
    'those above the classes count'
  ]
  listed.touch(tmp_path / 'y', 'data/train/a/1.mp4', 'data/val/a/1.mp4')
  listed.fails(tmp_path / 'y', "one class, 'data', and it .* give '.*/y/data'")
  assert folder.scan(tmp_path / 'y' / 'data').labels == ['a']


def test_folders_of_images_are_clips_where_a_class_has_no_video(tmp_path):
  listed.touch(tmp_path, 'run/1/00001.jpg', 'run/1/00002.jpg', 'run/2/1.png')
  listed.touch(tmp_path, 'run/about.txt', 'run/1/._00001.jpg')
  listed.touch(tmp_path, 'jump/3.mp4', 'jump/thumbs/3.jpg')
  listing = folder.scan(tmp_path, holdout=0)
  assert listed.table(listing) == {
    'jump/3.mp4': ('jump', 'train'),
    'run/1': ('run', 'train'),
    'run/2': ('run', 'train'),
  }
  assert listing.notes == [
    'jump/thumbs/3.jpg was ignored: it is no video',
    'run/about.txt was ignored: it is no video',
  ]
  listed.touch(tmp_path, 'sit/00001.jpg')
  listed.fails(tmp_path, "sit' holds no video; .* a folder of numbered images")


@pytest.mark.parametrize('extra', ['eval', 'dev', 'validate'])
def test_unusual_names_do_not_join_the_usual_ones(tmp_path, extra):
  names = [f'{split}/run/a.mp4' for split in ('train', 'val', 'test', extra)]
  listed.touch(tmp_path, *names)
  listing = folder.scan(tmp_path)
  assert sorted(listed.table(listing)) == sorted(names[:3])
  assert listing.notes == [
    f'{extra}/run/a.mp4 was ignored: it is outside test, train, val'
  ]
  for split in ('train', 'val', 'test', extra):
    listed.write_csv(tmp_path / f'{split}.csv', [(f'{split}/run/a.mp4', 'run')])
  assert sorted(listed.table(folder.scan(tmp_path))) == sorted(names[:3])


@pytest.mark.parametrize(
  'train, test',
  [
    ('training_set', 'test_set'),
    ('01_train', '02_val'),
    ('UCF Train', 'eval-'),
  ],
)
def test_folders_that_are_nearly_called_as_splits(tmp_path, train, test):
  listed.touch(tmp_path, f'{train}/run/a.mp4', f'{test}/run/a.mp4')
  listed.fails(tmp_path, "seem to be splits; rename '.*' to '.*', and so on")


def test_classes_may_have_words_of_splits(tmp_path):
  listed.touch(tmp_path, 'train station/1.mp4', 'test tube/1.mp4')
  listed.touch(tmp_path, '__MACOSX/test tube/._1.mp4')
  listing = folder.scan(tmp_path, holdout=0)
  assert listing.labels == ['test tube', 'train station']
