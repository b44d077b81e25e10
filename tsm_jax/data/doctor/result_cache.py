"""Results that outlive their process: a file of one JSON line for each."""

import json


class Kept:
  """A mapping from text to JSON values; what is set is in its file at once.

  A line that a killed process left half is passed over. In memory are only the
  places of the values.
  """

  def __init__(self, path):
    """Opens the file, or makes it.

    Args:
      path: of the file, a `pathlib.Path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    self._file = open(path, 'a+b')  # noqa: SIM115, closed by `close`
    self._places = {}
    self._file.seek(0)
    place, line = 0, b''
    for line in self._file:
      try:
        key, _ = json.loads(line)
        self._places[key] = place
      except (ValueError, TypeError):
        pass  # half a line
      place += len(line)
    if line and not line.endswith(b'\n'):
      self._file.write(b'\n')

  def __len__(self):
    return len(self._places)

  def __contains__(self, key):
    return key in self._places

  def __getitem__(self, key):
    self._file.seek(self._places[key])
    return json.loads(self._file.readline())[1]

  def __setitem__(self, key, value):
    self._file.seek(0, 2)
    self._places[key] = self._file.tell()
    self._file.write(json.dumps([key, value]).encode() + b'\n')
    self._file.flush()

  def close(self):
    self._file.close()
