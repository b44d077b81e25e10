"""The one exception for what a user can put right."""

import difflib
import unicodedata

# Line breaks, terminal commands, undecodable bytes; marks that turn the
# direction of what follows.
_CONTROL = ('Cc', 'Cs', 'Zl', 'Zp')
_TURNS = frozenset('\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069')


class InputError(ValueError):
  """Bad input; the message is a sentence with the field or file and the value.

  The commands print it without a traceback and exit with status 2.
  """


def nearest(name, choices):
  """The choice that is spelled most like `name`.

  >>> nearest('lerning_rate', ['batch_size', 'learning_rate'])
  'learning_rate'
  """
  return difflib.get_close_matches(name, choices, 1, 0)[0]


def printable(text):
  r"""A text whose control characters are shown instead of obeyed.

  The name of a file may hold any, and a terminal acts on them.

  >>> print(printable('a\x1b[2Jb\nc'))
  a\x1b[2Jb\nc
  """
  return ''.join(
    c.encode('unicode_escape').decode()
    if c in _TURNS or unicodedata.category(c) in _CONTROL
    else c
    for c in str(text)
  )
