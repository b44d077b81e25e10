"""The clips that the arguments of a command name."""

import contextlib
import glob
import os
import pathlib
import re
import sys
import tempfile

from tsm_jax import errors
from tsm_jax.data.clips import images, recognition
from tsm_jax.data.sources import split_folders, video_lists

STANDARD_INPUT = '-'
_YUV4MPEG = b'YUV4MPEG2 '
_MOST_BYTES = 2**34  # of standard input, which may never end
_ADDRESS = re.compile(r'([a-zA-Z][a-zA-Z0-9+.-]+):/')
_SECRET = re.compile(
  r'(?i)(?<=[?&/_;#-])[a-z]*'
  r'(?:user|usr|pas|pwd|psw|secret|token|key|auth|sig)[a-z]*=[^&/_;#]*'
)
_REMEDIES = {
  **dict.fromkeys(
    ('http', 'https', 'ftp'), 'download it, for example by curl -LO'
  ),
  **dict.fromkeys(('gs', 's3'), 'copy it to a local folder'),
  'file': 'give the path without file:',
}
_OF_A_STREAM = 'save a part of the stream, for example by ffmpeg -t 10 -i'
_OF_A_CAMERA = (
  'watch it by predict --stream, or save a part of it, for example by '
  'ffmpeg -t 10 -i'
)


def expand(argument, log):
  """The clips that an argument stands for.

  Args:
    argument: the path of a video, or of a folder of its images; a folder of
      videos or of such folders, at any depth; a list of videos, see
      `video_lists.read`; or a pattern such as `*.mp4`, if there is no file of
      that name.
    log: called with a sentence about files that are passed over.

  Returns:
    A list of paths in order, at least one; that of a single file is the
    argument as it is.

  Raises:
    InputError: if there is no such clip, or the argument is an address.
  """
  refuse_address(argument)
  if os.path.isdir(argument):
    return in_folder(argument, log)
  if video_lists.is_list(argument):
    return video_lists.read(argument, log)
  if os.path.lexists(argument) or not glob.has_magic(argument):
    return [argument]
  found = sorted(glob.glob(argument, recursive=True))
  if not found:
    raise errors.InputError(f'{argument!r}: no file has this name or pattern.')
  paths = []
  for path in found:
    paths += in_folder(path, log) if os.path.isdir(path) else [path]
  return paths


def in_folder(folder, log):
  """The clips of a folder: itself, if it holds images, or those below it."""
  clips, other = [], []

  def unreadable(error):  # as a clip, it gets a line of its own
    clips.append(pathlib.Path(error.filename))

  for path in split_folders.walk(folder, unreadable):
    if split_folders.hidden(path.relative_to(folder)):
      continue
    if recognition.is_video(path):
      clips.append(path)
    elif path.suffix.lower() in images.SUFFIXES:
      clips.append(path.parent)
    else:
      other.append(path)
  if pathlib.Path(folder) in clips:
    return [folder]
  if not clips:
    raise errors.InputError(
      f'{folder!r} holds no video and no numbered image; it has {len(other)} '
      'other files.'
    )
  if other:
    log(
      f'{folder}: {len(other)} files that are no videos were passed over, for '
      f'example {other[0].name}.'
    )
  return [str(path) for path in dict.fromkeys(clips)]


def shown(address):
  """An address without its password, to be printed.

  >>> shown('rtsp://me:secret@door.local/1?token=x&channel=2')
  'rtsp://door.local/1?***&channel=2'
  """
  scheme, slashes, rest = re.split('(:/+)', address, maxsplit=1)
  user, _, host = rest.rpartition('@')  # also after a password with a slash
  rest = host if user else rest  # udp://@239.0.0.1 has no user
  return f'{scheme}{slashes}{_SECRET.sub("***", rest)}'


def refuse_address(argument):
  """Raises InputError if a path is an address; it says how to get a file."""
  argument = os.fspath(argument)
  match = isinstance(argument, str) and _ADDRESS.match(argument)
  if not match or os.path.lexists(argument):
    return
  scheme = match[1].lower()
  camera = scheme in ('rtsp', 'rtsps')
  usual = _OF_A_CAMERA if camera else _OF_A_STREAM
  remedy = _REMEDIES.get(scheme, usual)
  raise errors.InputError(
    f'{shown(argument)!r} is an address, and only local files are read; '
    f'{remedy}, and give that file.'
  )


@contextlib.contextmanager
def standard_input():
  """The path of a file with what comes through standard input, for a while.

  Raises:
    InputError: if nothing comes, or a text.
  """
  refuse_keyboard()
  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 'video')
    with open(path, 'wb') as file:
      while chunk := sys.stdin.buffer.read(2**20):
        if not file.tell():
          refuse_text(chunk)
        file.write(chunk)
        if file.tell() > _MOST_BYTES:
          raise errors.InputError(
            f"'-': standard input is longer than {_MOST_BYTES:,} bytes."
          )
    if not os.path.getsize(path):
      raise errors.InputError("'-': nothing came through standard input.")
    yield path


def refuse_keyboard():
  """Raises InputError if nothing is piped into standard input."""
  if sys.stdin.isatty():
    raise errors.InputError(
      "'-' is standard input, which is the keyboard; pipe a video into it."
    )


def refuse_text(start):
  """Raises InputError if the first bytes of standard input are a text."""
  if start.startswith(_YUV4MPEG):  # whose head is one, and dark pixels, too
    return
  with contextlib.suppress(UnicodeDecodeError):
    if start[:1000].decode().isascii() and b'\0' not in start[:1000]:
      raise errors.InputError(
        "'-': standard input is a text, not a video; for a list of files, put "
        "xargs -d '\\n' in front of the command."
      )
