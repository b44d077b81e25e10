"""The one exception for what a user can put right."""


class InputError(ValueError):
  """Bad input; the message is a sentence with the field or file and the value.

  The programs print it without a traceback and exit with status 2.
  """
