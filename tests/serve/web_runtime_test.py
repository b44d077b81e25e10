"""LiteRT for browsers: the packages that were meant, or a sentence."""

import pytest

from support import packed, web
from tsm_jax import errors
from tsm_jax.serve import web_runtime


@pytest.fixture
def cache(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  return tmp_path / 'cache' / 'tsm_jax' / 'web'


@pytest.fixture
def registry(tmp_path, monkeypatch):
  """A folder of a registry's files, laid out as npm's."""
  packed.write(tmp_path / 'packed', monkeypatch)
  for package in web_runtime.PACKAGES:
    url = package.url.removeprefix(web_runtime.REGISTRY + '/')
    path = tmp_path / 'registry' / url
    path.parent.mkdir(parents=True)
    path.write_bytes((tmp_path / 'packed' / package.file).read_bytes())
  return tmp_path / 'registry'


def test_only_what_is_named_is_taken_and_browsers_find_it(
  tmp_path, monkeypatch
):
  folder = packed.write(tmp_path, monkeypatch)
  found = web_runtime.contents(str(folder))
  assert set(found) == packed.NAMES
  assert found['index.js'] == b'import {createWasmLib} from "./wasm_utils.js";'
  assert found['litert_wasm_internal.wasm'] == b'wasm/litert_wasm_internal.wasm'
  assert 'Apache License' in found['LICENCE.txt'].decode()
  assert {path.suffix for path in tmp_path.iterdir()} == {'.tgz'}


@pytest.mark.parametrize('content', [None, b'', b'another one'])
def test_no_package_or_another_one_is_a_sentence(
  tmp_path, monkeypatch, content
):
  folder = packed.write(tmp_path, monkeypatch)
  path = folder / 'litertjs-core-2.5.3.tgz'
  path.unlink()
  if content is not None:
    path.write_bytes(content)
  with pytest.raises(errors.InputError) as caught:
    web_runtime.contents(str(folder))
  message = str(caught.value)
  assert message.startswith(
    f'{folder} (--web_runtime) has no litertjs-core-2.5.3.tgz; '
    if content is None
    else f'{path} is not @litertjs/core 2.5.3: its hash is another one; '
  )
  assert message.endswith(
    'run npm pack @litertjs/core@2.5.3 @litertjs/wasm-utils@2.5.3 in a folder, '
    'and give that by --web_runtime.'
  )


def test_packages_are_downloaded_once(cache, registry, monkeypatch):
  seen, log = [], []
  with web.served(registry, seen=seen) as address:
    monkeypatch.setattr(web_runtime, 'REGISTRY', address)
    first = web_runtime.contents(log=log.append)
    assert seen == [
      '/@litertjs/core/-/core-2.5.3.tgz',
      '/@litertjs/wasm-utils/-/wasm-utils-2.5.3.tgz',
    ]
    assert len(log) == 2 and log[0].startswith(f'Downloading {address}/@lit')
    (cache / 'litertjs-core-2.5.3.tgz').write_bytes(b'half')
    assert web_runtime.contents(log=log.append) == first
    assert len(seen) == 3 and 'is damaged, and downloaded again' in log[2]
  assert web_runtime.contents(log=log.append) == first  # nobody is there now
  assert len(log) == 4


def test_a_registry_that_fails_is_a_sentence(cache, registry, monkeypatch):
  package = web_runtime.PACKAGES[0]
  path = registry / package.url.removeprefix(web_runtime.REGISTRY + '/')
  with web.served(registry) as address:
    monkeypatch.setattr(web_runtime, 'REGISTRY', address)
    path.write_bytes(b'x' * 2000)
    with pytest.raises(errors.InputError, match=r'what it was: 2.0 kB came, '):
      web_runtime.contents(log=[].append)
    path.unlink()
    with pytest.raises(
      errors.InputError, match=r'cannot be downloaded \(.*404.*\); where ther'
    ):
      web_runtime.contents(log=[].append)
  with pytest.raises(errors.InputError, match=r'downloaded \(.*refused'):
    web_runtime.contents(log=[].append)
  assert not cache.exists()


@pytest.mark.slow
def test_the_real_packages_are_those_of_the_hashes(cache):
  found = web_runtime.contents()
  assert set(found) == packed.NAMES
  assert b'@litertjs/' not in found['index.js']
  assert found['litert_wasm_internal.wasm'].startswith(b'\0asm')
