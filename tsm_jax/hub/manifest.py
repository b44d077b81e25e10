"""`tsm_jax.json`: what a repository holds, and the hash of every file."""

import os
import re
from typing import Any, NamedTuple

from tsm_jax import errors, files, models
from tsm_jax.convert.hub import names
from tsm_jax.runs import json_item

FILE = 'tsm_jax.json'
WEIGHTS = 'model.safetensors'
CARD = 'README.md'  # people edit it on the hub: it has no hash here
VERSION = 1
# No frames of clips are among them.
PICTURES = ('curves.png', 'confusion.png', 'early_recognition.png')
_ALLOWED = (WEIGHTS, f'{WEIGHTS}.json', 'config.json', *PICTURES)


class Manifest(NamedTuple):
  """What `tsm_jax.json` says.

  Attributes:
    step: of the run.
    meta: the JSON of its checkpoint, see `identity.describe`.
    hashes: the SHA-256 of each file by its name.
  """

  step: int
  meta: dict[str, Any]
  hashes: dict[str, str]


def read(path):
  """The `Manifest` in a file of a stranger.

  Raises:
    InputError: if it is none, or names a file outside of the folder.
  """
  content = files.read_json(path)
  if content.get('version') != VERSION:
    raise errors.InputError(
      f'{FILE} has the version {str(content.get("version"))[:20]}; this one '
      f'reads {VERSION}.'
    )
  hashes, meta = content.get('files'), content.get('meta')
  step = content.get('step')
  if not isinstance(hashes, dict):
    raise errors.InputError(f'{FILE}: files is no list of hashes.')
  for name, sha256 in hashes.items():
    # Another name might be taken for a checkpoint of the workdir.
    if name not in _ALLOWED or not re.fullmatch('[0-9a-f]{64}', str(sha256)):
      raise errors.InputError(
        f'{FILE} names {errors.printable(name)[:200]!r}, which is no file '
        f'of a run with its SHA-256 ({", ".join(_ALLOWED)}); it is refused.'
      )
  for name in (WEIGHTS, f'{WEIGHTS}.json', 'config.json'):
    if name not in hashes:
      raise errors.InputError(f'{FILE} does not name {name}.')
  if type(step) is not int or step < 0 or not isinstance(meta, dict):
    raise errors.InputError(f'{FILE}: step and meta are not those of a run.')
  try:
    json_item.check(meta)
  except errors.InputError as error:
    raise errors.InputError(f'{FILE}: meta.{error}') from error
  return Manifest(step, meta, hashes)


def shareable(config):
  """A configuration without the folders of this machine, as a new dict.

  Of a path, only the last part is left.
  """
  config = {**config, 'data': dict(config['data'])}
  for field in ('source', 'data_dir', 'labels'):
    if path := config['data'].get(field):
      config['data'][field] = _last_part(path)
  if start := config.get('init_from'):
    model = {**models.DEFAULTS, **config['model']}
    if not names.parse(start, model):
      config['init_from'] = _last_part(start)
  return config


def _last_part(path):
  return os.path.basename(str(path).rstrip('/'))
