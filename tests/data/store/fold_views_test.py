"""One stored dataset, of which every fold is a view."""

import pytest

from support import commands, helpers
from tsm_jax import errors
from tsm_jax.data.store import asked, dataset, stored_records

FOLDS = {'holdout_rule': 'stratified', 'folds': 3}


def names(source):
  return [source[i]['video_id'].decode() for i in range(len(source))]


@pytest.fixture(scope='module')
def root(tmp_path_factory):
  root = tmp_path_factory.mktemp('folds')
  helpers.write_folder(root / 'clips', clips=4, num_frames=5)
  return root


def prepare(root, source, **fields):
  data = {**helpers.DATA, 'source': str(source), 'data_dir': str(root / 'data')}
  lines = []
  built = dataset.prepare({**data, **fields}, log=lines.append)
  return built, lines


def test_one_dataset_serves_all_folds(root):
  seen, paths = [], set()
  for fold in range(3):
    built, lines = prepare(root, root / 'clips', **FOLDS, fold=fold)
    assert any('Building' in line for line in lines) == (fold == 0)
    paths.add(built.path)
    train, val = (names(built.split(split)) for split in ('train', 'val'))
    assert not set(train) & set(val) and len({*train, *val}) == 8
    assert built.num_frames == {
      'train': [5] * len(train),
      'val': [5] * len(val),
    }
    assert {k: len(v) for k, v in built.seconds.items()} == {
      'train': len(train),
      'val': len(val),
    }
    assert built.labels == ['jump', 'run']
    split = built.split('train')
    assert split.classes.tolist() == [record['label'] for record in split]
    seen += val
  assert len(paths) == 1 and len(seen) == len(set(seen)) == 8
  with pytest.raises(errors.InputError, match="no clip in the split 'test'"):
    built.split('test')


def test_a_built_dataset_is_asked_for_its_folds(root, tmp_path):
  done = commands.call(
    'data.build',
    *('folder', f'--manual_dir={root / "clips"}', '--folds=3'),
    *(f'--data_dir={root / "data"}',),
  )
  *_, line = done.stdout.splitlines()
  path, *more = line.removeprefix('Train on it with ').split()
  assert more == ['--config.data.folds=3', '--config.data.fold=0']
  path = path.partition('=')[2]
  # The same that a run builds.
  assert path == str(prepare(root, root / 'clips', **FOLDS)[0].path)
  by_path = prepare(root, path, **FOLDS, fold=1)[0]
  by_source = prepare(root, root / 'clips', **FOLDS, fold=1)[0]
  assert by_path.num_frames == by_source.num_frames
  for fields, message in (
    ({}, 'data.folds is 0, but .* is in 3 folds; give data.folds=3, and data.'),
    ({**FOLDS, 'folds': 4}, 'data.folds is 4, but the dataset .* in 3 folds'),
  ):
    with pytest.raises(errors.InputError, match=message):
      prepare(root, path, **fields)
    data = {**helpers.DATA, 'source': path, **fields}
    with pytest.raises(errors.InputError, match=message):
      asked.survey(data, 'rgb', print)  # before a run chooses by its clips
  survey = asked.survey({**helpers.DATA, 'source': path, **FOLDS}, 'rgb', print)
  assert survey.clips == {
    s: len(n) for s, n in prepare(root, path, **FOLDS)[0].num_frames.items()
  }
  with pytest.raises(errors.InputError, match='is not in folds; build it by'):
    prepare(root, prepare(root, root / 'clips')[0].path, **FOLDS)


class Numbers(list):
  label_shape = ()


def test_records_one_after_the_other():
  numbers = [range(3), [], [3], range(4, 9)]
  joined = stored_records.joined([Numbers(some) for some in numbers])
  assert len(joined) == 9
  assert [joined[i] for i in range(9)] == list(range(9))
  for number in (9, -1):
    with pytest.raises(IndexError, match=f'no record {number} of 9'):
      joined[number]


def test_flags_of_the_commands_are_the_fields(root, tmp_path):
  # The doctor and the build split as a run does.
  source = root / 'clips'
  for flags, fields in (
    (('--holdout=0.5',), {'holdout': 0.5}),
    (
      ('--holdout=0.5', '--holdout_seed=3'),
      {'holdout': 0.5, 'holdout_seed': 3},
    ),
    (('--group=[0-9]',), {'group': '[0-9]'}),
    (('--holdout_rule=hash',), {'holdout_rule': 'hash'}),
  ):
    fields = {'holdout': 0.2, 'holdout_rule': 'stratified', **fields}
    where = f'--data_dir={root / "data"}', '--short_side=256'
    done = commands.call(
      'data.build', 'folder', f'--manual_dir={source}', *where, *flags
    )
    built, _ = prepare(root, source, **fields)
    assert f'data.source={built.path}' in done.stdout
  done = commands.call(
    'data.build', 'ucf101', f'--manual_dir={source}', '--group=x'
  )
  assert done.returncode == 2 and "only a 'folder' takes it" in done.stderr
