"""Reads a run from the hub into a workdir, after it is verified."""

import os
import shutil

from tsm_jax import convert, errors, files
from tsm_jax.convert import weight_files
from tsm_jax.convert.hub import fetch, hashes, names
from tsm_jax.hub import manifest
from tsm_jax.runs import checkpoints, json_item


def pull(repo, out, log=print):
  """Makes a workdir of a run on the hub.

  `predict`, `--mode=eval`, `serve` and `init_from` take it as one of this
  machine. It cannot be continued.

  Args:
    repo: 'user/name', or 'user/name@revision'.
    out: the new workdir, a local path. It appears when all is verified.
    log: called with a sentence if the network is not there.

  Returns:
    Lines for the user.

  Raises:
    InputError: if there is no such run, a file is missing or not as it was
      written, or `out` exists.
  """
  named = names.parse(f'{names.SCHEME}{repo}', {})
  if named.file:
    raise errors.InputError(f'repo is {repo!r}; it must be USER/NAME.')
  if files.is_remote(out):
    raise errors.InputError(f'OUT is {out!r}; it must be a local folder.')
  out = os.path.abspath(os.path.expanduser(out))
  if os.path.exists(out):
    raise errors.InputError(f'{out!r} exists already; choose another place.')
  # Beside it, so that it gets its name in one go.
  unfinished = f'{out}.{os.getpid()}.unfinished'
  try:
    os.makedirs(unfinished)
    lines = _fill(named, unfinished, log)
    os.rename(unfinished, out)
  finally:
    shutil.rmtree(unfinished, ignore_errors=True)
  return [*lines, f'{errors.printable(out)}: ready for predict, --mode=eval.']


def _fill(named, folder, log):
  listed = fetch.listed(named, log, whole=True)
  if manifest.FILE not in listed:
    raise errors.InputError(
      f'{named} holds no run that tsm_jax.hub push has written: there is no '
      f'{manifest.FILE}. Its weights can be read by init_from={named.repo}.'
    )
  path, commit = fetch.download(named, manifest.FILE, log)
  hashes.verify(path, log)
  named = named._replace(revision=commit)
  found = manifest.read(path)
  if missing := sorted(set(found.hashes) - set(listed)):
    raise errors.InputError(
      f'{named.repo} is not whole: {", ".join(missing[:5])} is missing.'
    )
  shutil.copyfile(path, os.path.join(folder, manifest.FILE))
  for name, sha256 in found.hashes.items():
    _copy(named, name, folder, sha256, log)
  if manifest.CARD in listed:
    _copy(named, manifest.CARD, folder, None, log)
  _make_checkpoint(named, found, folder)
  labels = found.meta['labels']
  return [
    f'{named.repo}, commit {commit[:12]}: step {found.step} of '
    f'{found.meta["config"]["name"]}, {len(labels)} classes; the SHA-256 of '
    f'{len(found.hashes)} files are those that were written.'
  ]


def _copy(named, name, folder, sha256, log):
  """Puts a file of the hub into a folder, if it is the one that was written."""
  path, _ = fetch.download(named, name, log)
  actual = hashes.verify(path, log)
  if sha256 not in (None, actual):
    raise errors.InputError(
      f'{name} of {named.repo} was changed after the run was written: its '
      f'SHA-256 is {actual}, and {manifest.FILE} says {sha256}.'
    )
  target = os.path.join(folder, name)
  os.makedirs(os.path.dirname(target), exist_ok=True)
  shutil.copyfile(path, target)


def _make_checkpoint(named, found, folder):
  """Writes the weights in a folder as a checkpoint of ours."""
  path = os.path.join(folder, manifest.WEIGHTS)
  model = json_item.resolved(found.meta).model.to_dict()
  model['num_classes'] = len(found.meta['labels'])
  model['stage_sizes'] = tuple(model['stage_sizes'])
  converted = convert.read(path, log=lambda line: None, **model)
  meta = dict(found.meta)
  meta['converted_from'] = {
    'hub': named.repo,
    'revision': named.revision,
    'step': found.step,
    'sha256': weight_files.sha256(path),
  }
  checkpoints.save_model(folder, converted.variables, meta)
