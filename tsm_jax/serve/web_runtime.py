"""LiteRT for browsers: files of npm's packages, of one version, never others.

A package is the file that `npm pack` writes. It is downloaded once, into the
user's cache, and is read only if its hash is the one that is written here.
"""

import base64
import hashlib
import http.client
import io
import os
import pathlib
import tarfile
from typing import NamedTuple
import urllib.error
import urllib.request

import humanize

from tsm_jax import errors, files

REGISTRY = 'https://registry.npmjs.org'
SECONDS = 60  # that the registry may say nothing
MAX_BYTES = 2**26  # of a package


class Package(NamedTuple):
  """A package of npm.

  Attributes:
    name: with its scope.
    version: of it.
    sha512: of its file, base64, as `npm view NAME dist.integrity` shows it.
    members: a mapping from files in it to their names in the page's folder.
  """

  name: str
  version: str
  sha512: str
  members: dict[str, str]

  @property
  def file(self):
    """What `npm pack` calls it."""
    plain = self.name.removeprefix('@').replace('/', '-')
    return f'{plain}-{self.version}.tgz'

  @property
  def url(self):
    """Where it is fetched from."""
    short = self.name.rpartition('/')[2]
    return f'{REGISTRY}/{self.name}/-/{short}-{self.version}.tgz'


_WASM = ('litert_wasm_internal', 'litert_wasm_compat_internal')
VERSION = '2.5.3'
PACKAGES = (
  Package(
    '@litertjs/core',
    VERSION,
    'PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFD'
    'L1kCnN4nzWoyJQ==',
    {
      'dist/index.js': 'index.js',
      # The second of them is for browsers without relaxed SIMD.
      **{
        f'wasm/{name}.{kind}': f'{name}.{kind}'
        for name in _WASM
        for kind in ('js', 'wasm')
      },
    },
  ),
  Package(
    '@litertjs/wasm-utils',
    VERSION,
    '4fJiw6tBQnIs+0jH/OQ16nYOiSl8/+zZnn5h2ul8aTKHi05sVqZW580Tmk78pC2kT39A9OYBV'
    'dFawteZ/sI1kQ==',
    {'dist/index.js': 'wasm_utils.js'},
  ),
)
# Browsers know no packages, only files.
_IMPORT = '"@litertjs/wasm-utils"', '"./wasm_utils.js"'
_LICENCE = f"""LiteRT.js {VERSION}, of the npm packages
{', '.join(package.name for package in PACKAGES)}, by Google LLC, unchanged but
for the address of an import in index.js. Apache License, Version 2.0:
https://www.apache.org/licenses/LICENSE-2.0
"""


def contents(folder='', log=print):
  """The files of LiteRT for browsers.

  Args:
    folder: where the packages' files lie; '' is the cache, and what is not
      there is downloaded.
    log: called with a line about what is downloaded.

  Returns:
    A mapping from names to bytes.

  Raises:
    InputError: if a package cannot be had, or is another one.
  """
  found = {'LICENCE.txt': _LICENCE.encode()}
  for package in PACKAGES:
    found |= _unpack(package, _read(package, folder, log))
  index = found['index.js'].decode()
  found['index.js'] = index.replace(*_IMPORT).encode()
  return found


def cache():
  """The folder of what was downloaded."""
  caches = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
  return pathlib.Path(caches, 'tsm_jax', 'web').expanduser()


def _read(package, folder, log):
  """The bytes of a package's file."""
  path = (files.path(folder) if folder else cache()) / package.file
  if path.exists():
    content = path.read_bytes()
    if _hash(content) == package.sha512:
      return content
    if folder:
      raise errors.InputError(
        f'{path} is not {package.name} {package.version}: its hash is another '
        f'one; {_by_hand()}.'
      )
    log(f'{path} is damaged, and downloaded again.')
  elif folder:
    raise errors.InputError(
      f'{path.parent} (--web_runtime) has no {package.file}; {_by_hand()}.'
    )
  content = _download(package, log)
  files.write(path, content)
  return content


def _download(package, log):
  log(f'Downloading {package.url} ...')
  try:
    with urllib.request.urlopen(package.url, timeout=SECONDS) as response:
      content = response.read(MAX_BYTES)
  except (OSError, http.client.HTTPException) as error:
    known = type(error) is urllib.error.URLError
    raise errors.InputError(
      f'{package.url} cannot be downloaded '
      f'({error.reason if known else error}); where there is a network, '
      f'{_by_hand()}.'
    ) from error
  if _hash(content) != package.sha512:
    raise errors.InputError(
      f'{package.url} is not what it was: {humanize.naturalsize(len(content))} '
      f'came, of another hash; {_by_hand()}.'
    )
  return content


def _by_hand():
  """What helps."""
  names = ' '.join(f'{x.name}@{x.version}' for x in PACKAGES)
  return f'run npm pack {names} in a folder, and give that by --web_runtime'


def _hash(content):
  return base64.b64encode(hashlib.sha512(content).digest()).decode()


def _unpack(package, content):
  """Only the files that are named; no name in the archive becomes a path."""
  found = {}
  with tarfile.open(fileobj=io.BytesIO(content), mode='r:gz') as archive:
    for member, name in package.members.items():
      found[name] = archive.extractfile(f'package/{member}').read()
  return found
