"""The converters' own Python environments, in the user's cache.

They need packages, or versions of them, that ours cannot have. One is made on
its first use and found from then on, or another Python is given.
"""

import hashlib
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import time
from typing import NamedTuple

from tsm_jax import errors
from tsm_jax.data.store import locks
from tsm_jax.export import process

FOLDER = pathlib.Path(__file__).parent / 'converters'
# What a given Python must have, and about how much a made one holds.
NEEDED = {
  'litert': ('litert-converter', 'litert-quantizer'),
  'onnx': ('jax2onnx', 'onnx', 'onnxruntime'),
}
SIZES = {'litert': '600 MB', 'onnx': '200 MB'}
_ASK = """
import json, sys
from importlib import metadata
found = {x.metadata['Name']: x.version for x in reversed([
  *metadata.distributions()])}
json.dump([sys.version_info[:2], found], sys.stdout)
"""


class Environment(NamedTuple):
  """A Python that has a converter.

  Attributes:
    python: its path.
    versions: those of the packages `NEEDED`, by name.
  """

  python: str
  versions: dict[str, str]


def find(format, python=None, log=print):
  """The environment of a converter, made if there is none yet.

  Args:
    format: 'litert' or 'onnx'.
    python: one that has the converter, to be used instead.
    log: called with a line about what takes long.

  Returns:
    An `Environment`.

  Raises:
    InputError: if it cannot be made, or the given Python will not do.
  """
  if python:
    return _given(format, python, log)
  place = _place(format)
  try:
    place.parent.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise errors.InputError(
      f'The cache {str(place.parent)!r}, for the Python environment of the '
      f'converter, cannot be made ({error}); set XDG_CACHE_HOME to another '
      'folder, or give a Python that has the converter by --converter.'
    ) from error
  for folder in (place.parent, place):
    _check_owner(folder)
  if (found := _whole(format, place)) is None:
    what = f'the Python environment of the converter for {format}'
    with locks.held(place.with_name(f'{place.name}.lock'), what, log):
      if (found := _whole(format, place)) is None:
        _make(format, place, log)
        found = _whole(format, place)
    if found is None:
      raise errors.InputError(
        f'{str(place)!r} was made, but its packages are not those of '
        f'{constraints(format)}; remove it, or give a Python that has the '
        'converter by --converter.'
      )
  return found


def cache():
  """The folder of the environments; XDG_CACHE_HOME says where caches are."""
  home = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
  home = pathlib.Path(home).expanduser().absolute()
  return home / 'tsm_jax' / 'converters'


def _check_owner(folder):
  """Raises InputError if somebody else may change what is run there."""
  if not folder.exists():
    return
  found = folder.stat()
  if found.st_uid not in (0, os.getuid()) or found.st_mode & stat.S_IWOTH:
    raise errors.InputError(
      f'{str(folder)!r} may be changed by other users, and the converter is '
      'run from there; remove it, set XDG_CACHE_HOME to a folder of yours, or '
      'give a Python that has the converter by --converter.'
    )


def constraints(format):
  """The file of the packages of an environment, with their versions."""
  return FOLDER / f'constraints-{format}.txt'


def _place(format):
  """Where an environment of these packages and this Python is."""
  version = '.'.join(map(str, sys.version_info[:2]))
  key = constraints(format).read_text() + sys.base_prefix
  digest = hashlib.sha256(key.encode()).hexdigest()[:10]
  return cache() / f'{format}-python{version}-{digest}'


def _pinned(format):
  lines = constraints(format).read_text().splitlines()
  return dict(x.split('==') for x in lines if x and not x.startswith('#'))


def _whole(format, place):
  """The `Environment` in a folder, or None if it is not what it has to be."""
  python = str(place / 'bin' / 'python')
  try:
    _, found = _ask(python)
  except (OSError, ValueError, subprocess.SubprocessError):
    return None
  pinned = {_same(k): v for k, v in _pinned(format).items()}
  if any(found.get(name) != version for name, version in pinned.items()):
    return None
  return Environment(python, {name: found[name] for name in NEEDED[format]})


def _given(format, python, log):
  """The `Environment` of a Python that a user has named."""
  python = os.path.expanduser(python)
  # It is started in another folder; where a link leads is another Python.
  path = os.path.abspath(shutil.which(python) or python)
  try:
    version, found = _ask(path)
  except (OSError, ValueError, subprocess.SubprocessError) as error:
    raise errors.InputError(
      f'--converter is {python!r}, which does not run as a Python ({error}).'
    ) from error
  file = constraints(format)
  missing = [name for name in NEEDED[format] if name not in found]
  if missing:
    raise errors.InputError(
      f'--converter is {python!r}, which lacks {", ".join(missing)}; install '
      f'by: {python} -m pip install --no-deps -r {file}'
    )
  if format == 'onnx' and version != list(sys.version_info[:2]):
    here, there = ('.'.join(map(str, x)) for x in (sys.version_info, version))
    raise errors.InputError(
      f'--converter is {python!r}, Python {there}; for onnx it must be Python '
      f'{here[: here.index(".", 2)]}, as here, because it takes JAX from here.'
    )
  pinned = _pinned(format)
  for name in NEEDED[format]:
    if found[name] != pinned[name]:
      log(
        f'--converter has {name} {found[name]}; it was tested with '
        f'{pinned[name]}.'
      )
  return Environment(path, {name: found[name] for name in NEEDED[format]})


def _ask(python):
  """Its version, and those of its packages by their names."""
  done = subprocess.run(
    [python, '-I', '-c', _ASK],
    capture_output=True,
    text=True,
    check=True,
    timeout=120,
  )
  version, found = json.loads(done.stdout)
  return version, {_same(name): x for name, x in found.items()}


def _same(name):
  """The one spelling of a package's name."""
  return re.sub(r'[-_.]+', '-', name).lower()


def _make(format, place, log):
  """Makes an environment; it gets its name when it is complete."""
  start = time.monotonic()
  log(
    f'Making the Python environment of the converter for {format} in {place}, '
    f'once; it has about {SIZES[format]} ...'
  )
  for old in place.parent.glob(f'{place.name}.*.unfinished'):
    shutil.rmtree(old, ignore_errors=True)
  unfinished = place.with_name(f'{place.name}.{os.getpid()}.unfinished')
  try:
    _step([sys.executable, ['-m', 'venv', '--without-pip', unfinished]], format)
    _install(format, unfinished / 'bin' / 'python')
    shutil.rmtree(place, ignore_errors=True)
    unfinished.rename(place)
  finally:
    shutil.rmtree(unfinished, ignore_errors=True)
  log(f'It is ready after {time.monotonic() - start:.0f} s.')


def _install(format, python):
  """Installs the packages by our pip, or else by one of its own."""
  pip = [sys.executable, ['-m', 'pip', '--python', python]]
  if process.run(sys.executable, ['-m', 'pip', '--version'])[0]:
    status, _ = process.run(python, ['-m', 'ensurepip'])
    if status:
      raise errors.InputError(
        'The environment of the converter needs pip, which this Python '
        f'({sys.executable}) lacks; install it (python -m ensurepip, or '
        "Debian's python3-pip), or give a Python that has the converter by "
        '--converter.'
      )
    pip = [python, ['-m', 'pip']]
  # All packages are in the list, and no code of theirs is run.
  flags = [
    *('--quiet', '--no-input', '--disable-pip-version-check', '--no-deps'),
    *('--only-binary', ':all:', '-r', constraints(format)),
  ]
  _step([pip[0], [*pip[1], 'install', *flags]], format)


def _step(command, format):
  """Runs a part of the making."""
  lines = []
  status, last = process.run(*command, log=lines.append)
  if status:
    reason = next((x for x in lines if x.startswith('ERROR:')), last)
    raise errors.InputError(
      f'The environment of the converter for {format} cannot be made: '
      f'{reason.removeprefix("ERROR: ").rstrip(".")}. Check the network (or '
      "set pip's PIP_INDEX_URL or PIP_FIND_LINKS), or give a Python that has "
      'the converter by --converter.'
    )
