"""Writes a run as a folder for the hub, and uploads that."""

import json
import os
import tempfile

import tsm_jax
from tsm_jax import errors, files
from tsm_jax.convert import official_form, weight_files
from tsm_jax.convert.hub import fetch, names, trouble
from tsm_jax.hub import card, manifest
from tsm_jax.program import metrics
from tsm_jax.runs import checkpoints, folders

# Of the JSON of a checkpoint, what only the run itself needs.
_OF_THE_RUN = ('window', 'changes')


def push(source, repo, public=False, license=''):
  """Writes a run to the hub in one commit.

  Args:
    source: a path for `checkpoints.restore_model`.
    repo: 'user/name'; it is made if need be.
    public: whether everybody may read it.
    license: for the card, or ''.

  Returns:
    Lines for the user.

  Raises:
    InputError: if there is no checkpoint, or the hub does not let us; also for
      a repository that everybody can read, without `public`.
  """
  named, hub = _named(repo), fetch.library()
  try:
    with tempfile.TemporaryDirectory() as above:
      folder = os.path.join(above, 'run')
      lines = write(source, folder, repo, license)[:-1]
      with trouble.explained(named, 'write to'):
        api = hub.HfApi()
        is_public = _open(api, named, public)
        additions = [
          hub.CommitOperationAdd(name, os.path.join(folder, name))
          for name in sorted(os.listdir(folder))
        ]
        done = api.create_commit(
          repo, additions, commit_message=f'A run of tsm_jax {_version()}'
        )
  except trouble.AwayError as error:
    raise errors.InputError(f'{error}; nothing is written.') from error
  kind = 'public' if is_public else 'private'
  return [
    *lines,
    f'{hub.constants.ENDPOINT}/{repo} ({kind}), commit {done.oid[:12]}: '
    f'python -m tsm_jax.hub pull {repo} OUT reads it.',
  ]


def _named(repo):
  """The `names.Named` of a repository to write.

  Raises:
    InputError: if it is no name.
  """
  named = names.parse(f'{names.SCHEME}{repo}', {}) if '@' not in repo else None
  if named is None or named.file:
    raise errors.InputError(
      f'repo is {repo!r}; it must be USER/NAME, such as me/strokes.'
    )
  return named


def _open(api, named, public):
  """Makes the repository, or looks whether it may be written.

  Returns:
    Whether everybody can read it.

  Raises:
    InputError: if everybody can read it, without `public`.
  """
  try:
    info = api.model_info(named.repo, timeout=20)
  except trouble.not_found():
    api.create_repo(named.repo, private=not public)
    return public
  if not info.private and not public:
    raise errors.InputError(
      f'{named.repo} is there already, and everybody can read it; give '
      '--public if that is intended, or another name.'
    )
  return not info.private


def write(source, folder, repo, license=''):
  """Writes a run as a new folder, as it would be on the hub.

  Args:
    source: a path for `checkpoints.restore_model`.
    folder: the new one.
    repo: its name on the hub, for the card.
    license: for the card, or ''.

  Returns:
    Lines for the user.

  Raises:
    InputError: if there is no checkpoint, or the folder exists.
  """
  _named(repo)
  place = files.path(folder)
  if place.exists():
    raise errors.InputError(
      f'{str(folder)!r} exists already; choose another place.'
    )
  trained = checkpoints.restore_model(source)
  place.mkdir(parents=True)
  official_form.to_file(source, place / manifest.WEIGHTS)
  meta = {k: v for k, v in trained.meta.items() if k not in _OF_THE_RUN}
  meta['config'] = manifest.shareable(meta['config'])
  _write_json(place / 'config.json', meta['config'])
  workdir = _workdir(source)
  for name in manifest.PICTURES:
    if (workdir / name).exists():
      files.write(place / name, (workdir / name).read_bytes())
  hashes = {
    name: weight_files.sha256(place / name)
    for name in sorted(files.walk(place))
  }
  content = {
    'version': manifest.VERSION,
    'tsm_jax': _version(),
    'step': trained.step,
    'numbers': _numbers(workdir, trained),
    'meta': meta,
    'files': hashes,
  }
  _write_json(place / manifest.FILE, content)
  files.write(place / manifest.CARD, card.text(repo, trained, content, license))
  return [
    'The card names no folder of this machine; of paths, the last part is '
    'left. Look at its labels and names before you make it public.',
    f'{errors.printable(folder)}: {len(hashes) + 2} files, step '
    f'{trained.step} of {trained.meta["config"]["name"]}.',
  ]


def _workdir(source):
  """The workdir of a path for `checkpoints.restore_model`."""
  folder, _ = folders.find(source)
  return folder.parent


def _numbers(workdir, trained):
  """What the evaluation of this step has found, by name, or {}."""
  found = {}
  for record in metrics.read(workdir):
    if record['step'] == trained.step:
      found |= {
        name.removeprefix('eval/'): value
        for name, value in record.items()
        if name.startswith('eval/')
      }
  return found


def _write_json(path, content):
  files.write(path, json.dumps(content, indent=1, allow_nan=False))


def _version():
  return tsm_jax.__version__
