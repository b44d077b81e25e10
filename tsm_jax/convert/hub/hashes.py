"""Whether files of the hub's cache are what the hub states.

Each file is compared with the hash that the hub states for it: the SHA-256 of
large files, git's SHA-1 of small ones. The cache keeps that hash as the name of
the file, so that this holds without a network, too.
"""

import hashlib
import os
import re

from tsm_jax import errors


def verify(path, log):
  """Compares a file of the cache with the hash that the hub states.

  Returns:
    Its SHA-256, in hexadecimal.

  Raises:
    InputError: if it is another one.
  """
  stated = os.path.basename(os.path.realpath(path))
  with open(path, 'rb') as file:
    sha256 = hashlib.file_digest(file, 'sha256').hexdigest()
  found = sha256
  if re.fullmatch('[0-9a-f]{40}', stated):
    found = _git_hash(path)
  elif not re.fullmatch('[0-9a-f]{64}', stated):
    log(
      f'{errors.printable(path)} is not verified: the hub states no hash of '
      'it, or the file system of the cache has no links.'
    )
    return sha256
  if found != stated:
    raise errors.InputError(
      f'{errors.printable(path)} is not the file that the hub states: its hash '
      f'is {found}, which should be {stated}. It was changed, or damaged on '
      f'its way; delete {errors.printable(os.path.realpath(path))} and fetch '
      'it again.'
    )
  return sha256


def _git_hash(path):
  """The SHA-1 by which git names the content of a file."""
  digest = hashlib.sha1(usedforsecurity=False)
  digest.update(f'blob {os.path.getsize(path)}\0'.encode())
  with open(path, 'rb') as file:
    while block := file.read(2**20):
      digest.update(block)
  return digest.hexdigest()
