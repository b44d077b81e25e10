import hashlib
import json
import os
import pathlib

import chex
import pytest
from safetensors import numpy

from support import hub_client, hub_server, torch_weights
from tsm_jax import convert, errors, models
from tsm_jax.convert import init_from
from tsm_jax.convert.hub import fetch, names

FIELDS = {'depth': 18, 'stage_sizes': (1,), 'width': 8, 'num_frames': 4}
CONFIG = {**models.DEFAULTS, **FIELDS, 'dropout': 0.0, 'num_classes': 2}
DATA = {'mean': (0.485, 0.456, 0.406), 'std': (0.229, 0.224, 0.225)}
DATA |= {'divisor': 255.0, 'channel_order': 'rgb'}


@pytest.fixture(scope='module')
def server():
  with hub_server.running() as hub:
    yield hub


@pytest.fixture
def hub(server, tmp_path, monkeypatch):
  server.repos.clear()
  server.asked.clear()
  server.wrong.clear()
  hub_client.use(monkeypatch, server, tmp_path / 'cache')
  return server


def safetensors():
  weights = {
    k.removeprefix('module.base_model.'): v
    for k, v in torch_weights.small(2).items()
  }
  return numpy.save(weights, {'format': 'pt'})


def load(name, data=None, **changes):
  lines = []
  variables, origin = init_from.load(
    name, {**CONFIG, **changes}, ['a', 'b'], lines.append, data
  )
  return variables, origin, '\n'.join(lines)


def refused(name, model=CONFIG):
  with pytest.raises(errors.InputError) as found:
    init_from.check(name, model)
  assert '\n' not in str(found.value)
  return str(found.value)


def test_weights_by_name_equal_those_of_the_file(hub, tmp_path):
  content = safetensors()
  config = {'pretrained_cfg': {'mean': [0.5] * 3, 'std': list(DATA['std'])}}
  repo = hub.add(
    'timm/tiny.a1',
    {
      'model.safetensors': content,
      'pytorch_model.bin': b'not read',
      'config.json': json.dumps(config).encode(),
      'README.md': b'x',
    },
  )
  (tmp_path / 'file.safetensors').write_bytes(content)
  init_from.check('timm/tiny.a1', CONFIG)
  variables, origin, log = load('timm/tiny.a1', DATA)
  expected, _, _ = load(str(tmp_path / 'file.safetensors'))
  chex.assert_trees_all_equal(variables, expected)
  assert origin == {
    'hub': 'timm/tiny.a1',
    'revision': repo.commit,
    'file': 'model.safetensors',
    'sha256': hashlib.sha256(content).hexdigest(),
  }
  assert '--config.data.mean=' in log and '0.5' in log
  assert '--config.data.std' not in log
  assert not any('.bin' in line for line in hub.asked)
  # One large file is fetched once.
  assert hub.asked.count('GET ') == 1


def test_what_is_cached_needs_no_hub(tmp_path, monkeypatch):
  with hub_server.running() as hub:
    hub_client.use(monkeypatch, hub, tmp_path / 'cache')
    repo = hub.add('me/run', {'model.safetensors': safetensors()})
    before, origin, _ = load('me/run')
    asked = len(hub.asked)
    # A commit never changes: nobody is asked.
    load(f'hf://me/run@{repo.commit}')
    assert len(hub.asked) == asked
  after, again, log = load('me/run')
  chex.assert_trees_all_equal(after, before)
  assert again == origin and 'cannot be reached' in log and 'cache' in log
  monkeypatch.setattr('huggingface_hub.constants.HF_HUB_OFFLINE', True)
  _, again, log = load('me/run')
  assert again == origin and 'HF_HUB_OFFLINE is set' in log
  message = refused('me/other')
  assert 'there is no such file or workdir here' in message
  assert 'not in the cache' in message


def test_changed_bytes_are_refused(hub):
  content = safetensors()
  oid = hashlib.sha256(content).hexdigest()
  hub.add('me/run', {'model.safetensors': content})
  hub.wrong[oid] = content[:-1] + bytes([content[-1] ^ 1])
  message = refused('me/run')
  assert 'is not the file that the hub states' in message and oid in message
  hub.wrong.clear()
  bad = message.partition('delete ')[2].partition(' and fetch')[0]
  os.remove(bad)
  _, origin, _ = load('me/run')
  assert origin['sha256'] == oid
  # In the cache, by whatever hand.
  path = pathlib.Path(fetch.weights(names.Named('me/run'), print).path)
  path.resolve().write_bytes(content + b' ')
  assert 'is not the file that the hub states' in refused('me/run')


def test_changed_bytes_of_a_small_file_are_refused(hub):
  small = json.dumps({'a': 1}).encode()
  hub.add('me/run', {'model.safetensors': safetensors(), 'config.json': small})
  hub.wrong[small] = small.replace(b'1', b'2')
  assert hub_server.git_hash(small) in refused('me/run')


def test_a_cut_download_goes_on_where_it_ended(hub, monkeypatch):
  chunk = 'huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE'
  monkeypatch.setattr(chunk, 100)
  content = safetensors()
  hub.add('me/run', {'model.safetensors': content})
  hub.cut = 1000
  _, origin, _ = load('me/run')
  assert origin['sha256'] == hashlib.sha256(content).hexdigest()
  assert 'GET bytes=1000-' in hub.asked


def test_what_cannot_be_is_one_sentence(hub, monkeypatch):
  content = safetensors()
  hub.add('me/run', {'model.safetensors': content})
  hub.add('me/two', {'a.safetensors': content, 'b.safetensors': content})
  hub.add('me/text', {'README.md': b'x'})
  hub.add('me/private', {'model.safetensors': content}, private=True)
  pooled = json.dumps({'architecture': 'resnetaa50d'}).encode()
  hub.add('timm/aa', {'model.safetensors': content, 'config.json': pooled})
  for name, *parts in (
    ('no/where', 'no such file or workdir', 'timm/resnet50.a1_in1k', 'hf auth'),
    ('hf://no/where', 'shows no model no/where'),
    ('hf://me/run@v9', "no revision 'v9'"),
    ('hf://me/run/x.bin', "no file 'x.bin'", 'model.safetensors'),
    ('me/two', 'several', 'hf://me/two/a.safetensors, hf://me/two/b.'),
    ('me/text', 'no file of weights', 'README.md'),
    ('me/private', 'private', 'HF_TOKEN'),
    ('hf://run', 'hf://user/repo'),
    ('timm/aa', 'resnetaa50d', 'a mean instead of a stride'),
    ('hf://me/run/../x', 'no path inside'),
    ('imagenet', 'bn_inception', 'mobilenet_v2'),
  ):
    model = {**CONFIG, 'name': 'bn_inception'} if name == 'imagenet' else CONFIG
    message = refused(name, model)
    assert all(part in message for part in parts), message
  assert 'shows no model' not in refused('no/where.pth')  # a path
  monkeypatch.setenv('HF_TOKEN', hub_server.TOKEN)
  _, origin, _ = load('hf://me/private')
  assert origin['hub'] == 'me/private'


def test_names_out_of_the_folder_are_never_fetched(hub):
  hub.add('me/bad', {'../../x.safetensors': safetensors()})
  assert 'holds no file of weights' in refused('me/bad')
  with pytest.raises(errors.InputError, match='is refused'):
    fetch.download(names.Named('me/bad'), '../../x.safetensors', print)
  for name in (
    'a/../b',
    '/etc/x',
    'a//b',
    '.',
    'a\\b',
    'C:x',
    'a\nb',
    'x' * 201,
  ):
    assert not names.is_safe(name)


def test_a_path_that_exists_wins(hub, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  pathlib.Path('me').mkdir()
  pathlib.Path('me/run').write_bytes(safetensors())
  _, origin, _ = load('me/run')
  assert origin['file'] == 'run' and not hub.asked


def test_without_the_package_it_is_named(monkeypatch):
  monkeypatch.setitem(__import__('sys').modules, 'huggingface_hub', None)
  assert "pip install 'tsm_jax[hub]'" in refused('me/run')


def test_imagenet_is_the_model_of_the_configuration():
  for model, repo in (
    ({'name': 'resnet', 'depth': 50}, 'timm/resnet50.tv_in1k'),
    (
      {'name': 'resnet', 'depth': 18, 'stem': 'deep'},
      'timm/resnet18d.ra2_in1k',
    ),
    ({'name': 'mobilenet_v2'}, 'timm/mobilenetv2_100.ra_in1k'),
  ):
    named = names.parse('imagenet', {**convert.models.DEFAULTS, **model})
    assert named == names.Named(repo)


def test_a_folder_here_is_no_user_of_the_hub(hub, tmp_path, monkeypatch):
  hub.add('runs/mine', {'model.safetensors': safetensors()})
  monkeypatch.chdir(tmp_path)
  pathlib.Path('runs').mkdir()
  message = refused('runs/mine')
  assert message.endswith('workdir; on the hub it is hf://runs/mine.')
  assert not hub.asked
  assert load('hf://runs/mine')[1]['hub'] == 'runs/mine'


def test_a_commit_is_asked_for_what_is_not_cached(hub):
  content = safetensors()
  repo = hub.add('me/run', {'a.safetensors': content, 'b.safetensors': content})
  load(f'hf://me/run@{repo.commit}/a.safetensors')
  _, origin, _ = load(f'hf://me/run@{repo.commit}/b.safetensors')
  assert origin['file'] == 'b.safetensors'
  named = names.Named('me/run', repo.commit)
  assert len(fetch.listed(named, print, whole=True)) == 2
