"""Scores of recordings on disk, so that none is decoded a second time."""

import contextlib
import hashlib
import io
import json
import os
import zipfile

import jax
import numpy as np

from tsm_jax import files
from tsm_jax.stream.events import whole

FOLDER = 'stream_scores'


class Cache:
  """Keeps the scores of one model, shown frames at one interval.

  A file has another name when the model, the interval or the video is another
  one; of the video, its path, size and time count.
  """

  def __init__(self, workdir, trained, *options):
    """Reads nothing yet.

    Args:
      workdir: of the checkpoint, in which a folder is made.
      trained: the `checkpoints.TrainedModel`.
      *options: whatever else decides the scores, JSON-able.
    """
    self._folder = files.path(workdir) / FOLDER
    digest = hashlib.sha256(
      json.dumps([repr(trained.preprocessing), options]).encode()
    )
    leaves, tree = jax.tree.flatten(trained.variables)
    digest.update(str((tree, trained.config.to_json(sort_keys=True))).encode())
    for leaf in leaves:
      digest.update(np.asarray(leaf).tobytes())
    self._model = digest.hexdigest()

  def load(self, path):
    """The `whole.Scores` of a video, or None."""
    try:
      content = self._file(path).read_bytes()
      with np.load(io.BytesIO(content)) as found:
        return whole.Scores(
          found['times'],
          found['logits'],
          float(found['seconds']),
          str(found['damage']) if 'damage' in found else '',  # newer than some
        )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
      return None  # there is none, or it is damaged

  def save(self, path, scores):
    """Keeps the scores of a video, if the workdir can be written."""
    content = io.BytesIO()
    np.savez(content, **scores._asdict())
    with contextlib.suppress(OSError):
      files.write(self._file(path), content.getvalue())

  def _file(self, path):
    stat = os.stat(path)
    key = [self._model, os.path.realpath(path), stat.st_size, stat.st_mtime_ns]
    name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]
    return self._folder / f'{name}.npz'
