"""Which source an argument of a command names."""

import functools
import os
import re

from tsm_jax import errors
from tsm_jax.data.sources import arguments
from tsm_jax.stream.frames import devices, files, pipes, rtsp


def sources(argument, stopped, log):
  """The sources that an argument stands for.

  Args:
    argument: a file, folder or pattern as of `arguments.expand`; '-' for
      standard input; the index of a camera, such as '0', or its device; or an
      address that begins with rtsp: or rtsps:.
    stopped: whether a source is to end now.
    log: called with a sentence about what is odd.

  Returns:
    A list of `(name, live, open)`: what to call it; whether it comes without
    waiting for who reads; and a function that opens it.

  Raises:
    InputError: if there is no such file, or the argument is another address.
  """
  if argument == arguments.STANDARD_INPUT:
    return [(argument, False, functools.partial(pipes.read, stopped))]
  if rtsp.is_address(argument):
    opened = functools.partial(rtsp.read, argument, stopped, log)
    return [(arguments.shown(argument), True, opened)]
  device = re.fullmatch(r'(?:/dev/video)?(\d+)', argument)
  if device and not os.path.isfile(argument) and not os.path.isdir(argument):
    opened = functools.partial(devices.read, int(device[1]), stopped, log)
    return [(f'camera {device[1]}', True, opened)]
  return [
    (path, False, functools.partial(_file, path))
    for path in arguments.expand(argument, log)
  ]


def _file(path):
  if os.path.isdir(path):
    raise errors.InputError(
      f'{path!r} is a folder of images, which have no times; --stream needs '
      'videos.'
    )
  return files.read(path)
