"""Results that outlive their process, in a file of SQLite."""

import json
import sqlite3

from tsm_jax import errors


class ResultCache:
  """A mapping from text to JSON values; what is set is in its file at once.

  Several processes may use one file. A process that is killed loses nothing
  that it has set.
  """

  def __init__(self, path):
    """Opens the file, or makes it.

    Args:
      path: of the file, a `pathlib.Path`.

    Raises:
      InputError: if it is not such a file, or its file system has no locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Every value is a transaction of its own.
    self._file = sqlite3.connect(path, timeout=60, isolation_level=None)
    try:
      # It must outlive a process, not the machine.
      self._file.execute('PRAGMA synchronous = OFF')
      self._file.execute(
        'CREATE TABLE IF NOT EXISTS results (key TEXT PRIMARY KEY, value TEXT)'
      )
    except sqlite3.Error as error:
      self._file.close()
      raise errors.InputError(
        f'The file of results {str(path)!r} cannot be used: {error}; remove '
        'it, or choose another folder by --cache.'
      ) from error

  def __len__(self):
    return self._file.execute('SELECT COUNT(*) FROM results').fetchone()[0]

  def __contains__(self, key):
    return self._find(key) is not None

  def __getitem__(self, key):
    row = self._find(key)
    if row is None:
      raise KeyError(key)
    return json.loads(row[0])

  def __setitem__(self, key, value):
    self._file.execute(
      'INSERT OR REPLACE INTO results VALUES (?, ?)', (key, json.dumps(value))
    )

  def _find(self, key):
    found = self._file.execute(
      'SELECT value FROM results WHERE key = ?', (key,)
    )
    return found.fetchone()

  def close(self):
    """Closes the file."""
    self._file.close()
