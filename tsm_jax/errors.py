"""The one exception for what a user can put right."""

import difflib


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
