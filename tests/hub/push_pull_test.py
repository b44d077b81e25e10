import hashlib
import json
import re

import chex
import pytest

from support import (
  checkpointed,
  commands,
  helpers,
  hub_client,
  hub_server,
  listed,
)
import tsm_jax
from tsm_jax import errors
from tsm_jax.convert import init_from
from tsm_jax.hub import __main__ as main
from tsm_jax.hub import manifest, pull, push
from tsm_jax.runs import checkpoints

# Of the client, about itself.
pytestmark = pytest.mark.filterwarnings('ignore:Use .content=')


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """A run of two classes: its last step and its best one."""
  workdir = tmp_path_factory.mktemp('runs') / 'mine'
  checkpointed.save(
    workdir,
    steps=(20,),
    best=((20, 0.75),),
    data__source='/home/somebody/secret/videos',
  )
  records = [{'step': 20, 'eval/top1': 0.75, 'eval/loss': 0.5}]
  text = '\n'.join(map(json.dumps, records)) + '\n'
  (workdir / 'metrics.jsonl').write_text(text)
  (workdir / 'curves.png').write_bytes(b'png')
  (workdir / 'mistakes.png').write_bytes(b'frames of people')
  return workdir


@pytest.fixture(scope='module')
def server():
  with hub_server.running() as hub:
    yield hub


@pytest.fixture(scope='module')
def folder(run, tmp_path_factory):
  """What push writes, in memory: content by name."""
  place = tmp_path_factory.mktemp('dry') / 'folder'
  push.write(run, place, 'me/mine', 'mit')
  return {path.name: path.read_bytes() for path in place.iterdir()}


@pytest.fixture
def hub(server, tmp_path, monkeypatch):
  server.repos.clear()
  server.asked.clear()
  hub_client.use(monkeypatch, server, tmp_path / 'cache')
  return server


def refused(repo, out):
  with pytest.raises(errors.InputError) as found:
    pull.pull(repo, str(out))
  assert '\n' not in str(found.value)
  assert not list(out.parent.glob('out*'))  # nothing half
  return str(found.value)


def test_push_then_pull_gives_equal_numbers(
  hub, run, tmp_path, monkeypatch, capsys
):
  monkeypatch.setenv('HF_TOKEN', hub_server.TOKEN)
  main.main(['push', str(run), 'me/mine'])
  said = capsys.readouterr().out
  assert 'me/mine (private)' in said and 'hub pull me/mine' in said
  assert hub.repos['me/mine'].private
  out = tmp_path / 'pulled'
  main.main(['pull', 'me/mine', str(out)])
  before, after = map(checkpoints.restore_model, (run, out))
  chex.assert_trees_all_equal(after.variables, before.variables)
  assert after.labels == before.labels
  assert after.preprocessing == before.preprocessing
  assert after.config.to_dict() == before.config.to_dict()
  origin = after.meta['converted_from']
  assert (origin['hub'], origin['step']) == ('me/mine', 20)
  assert origin['revision'] == hub.repos['me/mine'].commit
  # A new run starts from it by its name, too.
  model = before.config.to_dict()
  variables, origin = init_from.load('me/mine', model, before.labels, print)
  chex.assert_trees_all_equal(variables, before.variables)
  assert origin['hub'] == 'me/mine'
  # Again: the same repository, one more commit.
  main.main(['push', str(run / 'best'), 'me/mine'])
  with pytest.raises(SystemExit):
    main.main(['pull', 'me/mine', str(out)])
  assert 'exists already' in capsys.readouterr().err


def test_what_was_pulled_is_asked_as_the_run_is(hub, folder, run, tmp_path):
  helpers.write_folder(tmp_path / 'clips', clips=3, num_frames=5)
  hub.add('me/mine', folder)
  out = tmp_path / 'pulled'
  pull.pull('me/mine', str(out))
  found = []
  for workdir in run, out:
    done = commands.call(
      'main',
      *('--mode=eval', f'--workdir={workdir}'),
      f'--config.data.source={tmp_path / "clips"}',
      f'--config.data.data_dir={tmp_path / "data"}',
    )
    assert done.returncode == 0, done.stderr
    rows = listed.read_csv(workdir / 'predictions_val.csv')
    # A pulled model is a new one, of step 0, which names its origin.
    assert {row.pop('step') for row in rows} == {'0' if found else '20'}
    video = tmp_path / 'clips' / rows[0]['clip']
    answer = tsm_jax.load(workdir).predict(video)
    found.append((rows, answer))
  (rows, answer), (others, other) = found
  assert rows == others and len(rows) > 1
  assert answer == other


@pytest.mark.parametrize(
  ('fields', 'views'),
  [
    ({}, 'one clip and one centre crop of every video'),
    ({'eval__full_resolution': True}, 'one clip and one crop at full res'),
    ({'eval__clips': 2}, 'the mean of 2 clips with 1 crop each of every video'),
    (
      {'eval__clips': 10, 'eval__crops': 3, 'eval__full_resolution': True},
      'the mean of 10 clips with 3 crops at full resolution each of every',
    ),
  ],
)
def test_the_card_says_what_its_numbers_are_of(tmp_path, fields, views):
  workdir = tmp_path / 'run'
  checkpointed.save(workdir, steps=(20,), **fields)
  record = {'step': 20, 'eval/top1': 0.75, 'eval/mean_class': 0.5}
  (workdir / 'metrics.jsonl').write_text(json.dumps(record) + '\n')
  push.write(workdir, tmp_path / 'folder', 'me/mine')
  card = (tmp_path / 'folder' / manifest.CARD).read_text()
  assert f'Of the split `val`, while the run trained: {views}' in card
  assert '| top1 | `75.00%` |' in card


def test_the_card_says_which_fold_was_held_out(tmp_path):
  workdir = tmp_path / 'run'
  checkpointed.save(workdir, steps=(20,), data__folds=10, data__fold=3)
  push.write(workdir, tmp_path / 'folder', 'me/mine')
  card = (tmp_path / 'folder' / manifest.CARD).read_text()
  assert '| fold held out | `3` |' in card and '| folds | `10` |' in card
  assert 'share held out' not in card


def test_the_card_tells_all_and_nothing_of_the_machine(folder):
  card = folder['README.md'].decode()
  header = card.split('---\n')[1]
  assert 'license: "mit"' in header and '"value": 0.75' in header
  for part in (
    '75.00%',
    '"1": "run"',
    'python -m tsm_jax.hub pull me/mine',
    '| image_size | `32` |',
    hashlib.sha256(folder['model.safetensors']).hexdigest(),
    hashlib.sha256(folder['config.json']).hexdigest(),
  ):
    assert part in card, part
  for name, content in folder.items():
    assert b'somebody' not in content and b'/home' not in content, name
  assert json.loads(folder['config.json'])['data']['source'] == 'videos'
  assert 'curves.png' in folder and 'mistakes.png' not in folder
  listed = json.loads(folder[manifest.FILE])['files']
  assert set(folder) == {*listed, manifest.FILE, 'README.md'}
  assert re.search(r'^pipeline_tag: "video-classification"$', header, re.M)


def test_what_was_changed_or_is_half_is_refused(hub, folder, tmp_path):
  out = tmp_path / 'out'
  config = folder['config.json'].replace(b'videos', b'others')
  names = json.loads(folder[manifest.FILE])
  names['files']['../../evil'] = '0' * 64
  other = {**folder, manifest.FILE: json.dumps(names).encode()}
  planted = json.loads(folder[manifest.FILE])
  planted['files']['best/999/model'] = '0' * 64
  planted = {**folder, manifest.FILE: json.dumps(planted).encode()}
  half = {k: v for k, v in folder.items() if k != 'curves.png'}
  for files, part in (
    ({**folder, 'config.json': config}, 'config.json of me/run was changed'),
    (half, 'not whole: curves.png is missing'),
    (other, "'../../evil', which is no file of a run"),
    (planted, "'best/999/model', which is no file of a run"),
    ({'model.safetensors': b'x'}, 'no run that tsm_jax.hub push has written'),
  ):
    hub.add('me/run', files)
    assert part in refused('me/run', out)
  # The card may be edited on the hub.
  hub.add('me/run', {**folder, 'README.md': b'mine'})
  pull.pull('me/run', str(out))
  assert (out / 'README.md').read_bytes() == b'mine'


def test_a_token_is_needed_and_nothing_becomes_public_by_itself(
  hub, run, folder, tmp_path, monkeypatch
):
  with pytest.raises(errors.InputError, match=r'HF_TOKEN'):
    push.push(run, 'me/mine')
  monkeypatch.setenv('HF_TOKEN', hub_server.TOKEN)
  hub.add('me/open', {'README.md': b'x'})
  with pytest.raises(errors.InputError, match='everybody can read it; give'):
    push.push(run, 'me/open')
  assert set(hub.repos['me/open'].files) == {'README.md'}
  push.push(run, 'me/open', public=True)
  assert hub.repos['me/open'].files['config.json'] == folder['config.json']
  for repo in ('mine', 'a/b/c', 'me/x@v1', '../x'):
    with pytest.raises(errors.InputError, match=r'repo|hf://'):
      push.push(run, repo)
  with pytest.raises(errors.InputError, match='exists already'):
    push.write(run, tmp_path, 'me/mine')
