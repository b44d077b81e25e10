"""Events as subtitles: SRT and WebVTT."""

from tsm_jax import errors
from tsm_jax.stream.output import base

_ESCAPED = {'&': '&amp;', '<': '&lt;', '>': '&gt;'}


class Subtitles(base.TextFile):
  """A file that players show over the video, the label while it goes on.

  Cues are written as events end. Where these were out of order, as events of
  two labels may be, the file is sorted at its end.
  """

  def __init__(self, path, kind):
    """Creates the file.

    Args:
      path: of it.
      kind: 'srt' or 'vtt'.
    """
    super().__init__(path)
    self._kind, self._events = kind, []
    self._begin()

  def event(self, event):
    self._events.append(event)
    self.write(self._cue(len(self._events), event))

  def close(self):
    ordered = sorted(self._events)
    if ordered != self._events and not self._file.closed:
      self._file.seek(0)
      self._file.truncate()
      self._begin()
      for number, event in enumerate(ordered, 1):
        self.write(self._cue(number, event))
    super().close()

  def _begin(self):
    if self._kind == 'vtt':
      self.write('WEBVTT\n\n')

  def _cue(self, number, event):
    text = ' '.join(errors.printable(event.label).split())
    if self._kind == 'vtt':
      text = ''.join(_ESCAPED.get(character, character) for character in text)
    point = '.' if self._kind == 'vtt' else ','
    start, end = timecode(event.start, point), timecode(event.end, point)
    return f'{number}\n{start} --> {end}\n{text}\n\n'


def timecode(seconds, point):
  """Seconds as subtitles have them.

  >>> timecode(3723.4565, ',')
  '01:02:03,456'
  """
  minutes, rest = divmod(int(seconds * 1000 + 1e-6), 60_000)
  seconds, thousandths = divmod(rest, 1000)
  return (
    f'{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}'
    f'{point}{thousandths:03d}'
  )
