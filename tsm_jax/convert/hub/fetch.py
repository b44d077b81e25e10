"""Fetches files of the hub into its usual cache, and verifies them."""

import os
import re
from typing import Any, NamedTuple

from tsm_jax import errors, files
from tsm_jax.convert.hub import hashes, names, trouble
from tsm_jax.convert.reading import remedy, state_dicts

_SUFFIXES = (*remedy.SUFFIXES, '.bin')
_USUAL = ('model.safetensors', 'pytorch_model.bin')  # the first is preferred
_MAX_CONFIG = 2**20  # bytes


class Fetched(NamedTuple):
  """A file of weights in the cache.

  Attributes:
    path: of the file.
    origin: JSON-able: the repository, its commit, the file and its SHA-256.
    config: what `config.json` of the repository says, or {}.
  """

  path: str
  origin: dict[str, str]
  config: dict[str, Any]


def library():
  """The module `huggingface_hub`.

  Raises:
    InputError: if it is not installed.
  """
  try:
    import huggingface_hub
    import huggingface_hub.constants
    import huggingface_hub.errors
  except ImportError as error:
    raise errors.InputError(
      "the hub needs the package huggingface_hub: pip install 'tsm_jax[hub]'."
    ) from error
  return huggingface_hub


def weights(named, log):
  """The file of weights that a name means, with what is beside it.

  Args:
    named: a `names.Named`.
    log: called with a sentence if the network is not there.

  Returns:
    A `Fetched`.

  Raises:
    InputError: if there is no such file, or it is not what the hub states.
  """
  found_files, log_once = listed(named, log), _once(log)
  name = _choose(named, found_files)
  path, commit = download(named, name, log_once)
  found = hashes.verify(path, log)
  named = named._replace(revision=commit)
  config = {}
  if f'{name}.json' in found_files:
    hashes.verify(download(named, f'{name}.json', log_once)[0], log)
  if 'config.json' in found_files:
    place = download(named, 'config.json', log_once)[0]
    hashes.verify(place, log)
    if os.path.getsize(place) < _MAX_CONFIG:
      config = files.read_json(place)
  origin = {
    'hub': named.repo,
    'revision': commit,
    'file': name,
    'sha256': found,
  }
  return Fetched(path, origin, config)


def shown(fetched):
  """What was fetched, for people."""
  origin = fetched.origin
  return (
    f'{origin["file"]} of {origin["hub"]}, commit {origin["revision"][:12]}, '
    f'SHA-256 {origin["sha256"][:12]}...'
  )


def _once(log):
  said = set()

  def say(line):
    if line not in said:
      said.add(line)
      log(line)

  return say


def _choose(named, listed):
  """The name of the file of weights among those of a repository."""
  found = [n for n in listed if n.endswith(_SUFFIXES) and names.is_safe(n)]
  if named.file:
    if named.file in listed:
      return named.file
    raise errors.InputError(
      f'{named.repo} has no file {named.file!r}; its weights are '
      f'{state_dicts.listed(found) or "none"}.'
    )
  for name in _USUAL:
    if name in found:
      return name
  safe = [name for name in found if name.endswith('.safetensors')]
  for some in (safe, found):
    if len(some) == 1:
      return some[0]
  if not found:
    raise errors.InputError(
      f'{named.repo} holds no file of weights ({", ".join(_SUFFIXES)}), but '
      f'{state_dicts.listed(listed) or "nothing"}.'
    )
  choices = [f'{names.SCHEME}{named.repo}/{name}' for name in found]
  raise errors.InputError(
    f'{named.repo} holds several files of weights; choose from '
    f'{state_dicts.listed(choices)}.'
  )


def listed(named, log, whole=False):
  """The names of the files of a repository, here if the hub is away.

  Args:
    named: a `names.Named`.
    log: called with a sentence if the hub is away.
    whole: of all files; otherwise weights that were fetched are enough of a
      commit, which never changes.
  """
  hub = library()
  commit = _cached_commit(named)
  cached = _cached(named, commit) if commit == named.revision and commit else []
  if whole or not _are_enough(cached, named):
    try:
      with trouble.explained(named):
        info = hub.HfApi().model_info(
          named.repo, revision=named.revision, timeout=20
        )
      return [file.rfilename for file in info.siblings or ()]
    except trouble.AwayError as error:
      cached = _cached(named, commit) if commit else []
      if not cached:
        raise errors.InputError(
          f'{error}, and {named} is not in the cache '
          f'({hub.constants.HF_HUB_CACHE}).'
        ) from error
      log(f'{error}: {named} is taken from the cache, commit {commit[:12]}.')
  return cached


def _are_enough(cached, named):
  """Whether the weights that are asked for are among files of the cache."""
  if named.file:
    return named.file in cached
  return any(name.endswith(_SUFFIXES) for name in cached)


def _repo_folder(named):
  """The place of a repository in the cache."""
  cache = library().constants.HF_HUB_CACHE
  return os.path.join(cache, 'models--' + named.repo.replace('/', '--'))


def _cached_commit(named):
  revision = named.revision or 'main'
  if re.fullmatch(r'[0-9a-f]{40}', revision):
    return revision
  path = os.path.join(_repo_folder(named), 'refs', revision)
  if not os.path.isfile(path):
    return None
  with open(path, encoding='ascii') as file:
    return file.read().strip()


def _cached(named, commit):
  folder = os.path.join(_repo_folder(named), 'snapshots', commit)
  return sorted(files.walk(folder)) if os.path.isdir(folder) else []


def download(named, name, log):
  """`(path, commit)` of a file in the cache; it is not verified.

  Raises:
    InputError: if it cannot be fetched, or its name leads out of the folder.
  """
  if not names.is_safe(name):
    raise errors.InputError(
      f'{named.repo} has a file {errors.printable(name)!r}, whose name is no '
      'path inside of a folder; it is refused.'
    )
  hub = library()
  options = {'repo_id': named.repo, 'filename': name}
  options['revision'] = named.revision
  try:
    with trouble.explained(named):
      path = hub.hf_hub_download(**options)
  except trouble.AwayError as error:
    try:
      path = hub.hf_hub_download(**options, local_files_only=True)
    except hub.errors.LocalEntryNotFoundError:
      raise errors.InputError(
        f'{error}, and {name} of {named} is not in the cache.'
      ) from error
    log(f'{error}: {named} is taken from the cache.')
  commit = os.path.relpath(path, os.path.join(_repo_folder(named), 'snapshots'))
  return path, commit.split(os.sep)[0]
