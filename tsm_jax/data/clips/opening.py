"""Opens video files: regular ones, of known containers, and no others.

FFmpeg gets bytes and no path. So no name is taken for an address or a pattern,
and whatever a file names (a playlist, or a film whose pictures are elsewhere)
is never opened.
"""

import contextlib
import errno
import io
import os
import stat

import av

from tsm_jax import errors
from tsm_jax.data.clips import limits

# FFmpeg's names of what holds a video by itself: containers, streams without
# one, and single pictures. It knows others that are lists, sockets or devices.
FORMATS = (
  'apng,asf,asf_o,avi,dhav,dv,flv,gif,gxf,ifv,ivf,ivr,kux,live_flv,matroska,'
  'mov,mpeg,mpegts,mpjpeg,mxf,mxg,nsv,nut,nuv,ogg,pva,rm,smjpeg,swf,ty,wtv,'
  'yuv4mpegpipe,'
  'bink,cine,flic,iv8,lmlm4,lxf,nc,r3d,roq,ser,smk,vivo,'
  'av1,avs2,avs3,cavsvideo,dirac,dnxhd,evc,h261,h263,h264,hevc,ingenient,m4v,'
  'mjpeg,mjpeg_2000,mpegvideo,obu,vc1,vc1test,vvc,'
  'bmp_pipe,jpeg_pipe,png_pipe,webp_pipe'
)
_OPTIONS = {'protocol_whitelist': 'none', 'format_whitelist': FORMATS}
# How files begin that only name others: HLS, FFmpeg's own, SDP, PLS, ASX, DASH.
_PLAYLISTS = tuple(
  b'#extm3u ffconcat v=0 [playlist] [reference] <asx <?xml <mpd <smil'.split()
)
_PICTURE = ('.jpeg', '.jpg')  # by such a name, FFmpeg takes files for a series
COVER_ART = av.stream.Disposition.attached_pic
DEFAULT = av.stream.Disposition.default
NO_INDEX = (
  'not a video that can be read as it comes: MP4 and MOV must be fragmented or '
  "begin with their index (FFmpeg's -movflags +faststart)"
)
# Where trying again is of no use.
_LASTING = (
  *(errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG),
  *(errno.ENOTDIR, errno.EISDIR, errno.EINVAL),
)


class VideoError(errors.InputError):
  """A video that cannot be used; the message is the reason without a name."""


class NoFrameError(VideoError):
  """A video that opens, but has no frame that decodes."""


class PassingError(VideoError):
  """A file that cannot be read now, for a reason that is not in the file."""


@contextlib.contextmanager
def container(path):
  """The open `av.container.InputContainer` of a file, as a context.

  Raises:
    VideoError: if it is not a regular file, or not a readable video.
    PassingError: if it does not exist or its disk fails, also later within the
      context.
  """
  _check(path)
  with _File(path) as file:
    try:
      opened = av.open(
        file, options=_OPTIONS, metadata_errors='backslashreplace'
      )
    except (av.error.FFmpegError, OSError, ValueError) as error:
      _raise_failed(file)
      raise VideoError(f'not a readable video: {_why(error, path)}') from error
    try:
      with opened:
        yield opened
    finally:  # FFmpeg may have taken it for the end
      _raise_failed(file)


@contextlib.contextmanager
def pipe(file):
  """The open container of what comes through a pipe, as a context.

  Args:
    file: its `read(size)` returns bytes, none at the end; it cannot seek.

  Raises:
    VideoError: if it is not a readable video.
  """
  start = _Start(file)
  try:
    opened = av.open(
      start, options=_OPTIONS, metadata_errors='backslashreplace'
    )
  except errors.InputError:
    raise  # of the file
  except (av.error.FFmpegError, OSError, ValueError) as error:
    _raise_failed(start)
    raise VideoError(_unfit(error, start.bytes)) from error
  try:
    with opened:
      yield opened
  finally:
    _raise_failed(start)


class _Start:
  """A file of which only `read` is used; it keeps how it starts, and fails."""

  name = 'video'

  def __init__(self, file):
    self.bytes, self.failure = b'', None
    self._file = file

  def read(self, size):
    try:
      data = self._file.read(size)
    except OSError as error:
      self.failure = error
      raise
    self.bytes = self.bytes or data[:64]
    return data


def _unfit(error, start):
  """Why FFmpeg has not opened what came through a pipe, in words."""
  if not start:
    return 'nothing came through the pipe'
  if b'ftyp' in start:
    return NO_INDEX
  return f'not a readable video: {_explain(error, start)}'


def video(container):
  """The video stream to read, prepared to be decoded.

  It is the one that its container calls the default, or the first.

  Raises:
    VideoError: if there is none, none that FFmpeg can decode, or its pictures
      are too large.
  """
  streams = [
    s for s in container.streams.video if not s.disposition & COVER_ART
  ]
  if not streams:
    raise VideoError('has no video stream')
  chosen = next((s for s in streams if s.disposition & DEFAULT), streams[0])
  if chosen.codec_context is None:
    raise VideoError('has a video stream of a codec that FFmpeg cannot decode')
  if reason := limits.too_large(chosen.width, chosen.height):
    raise VideoError(reason)
  chosen.thread_count = 1
  # Of pictures that are larger than the container says.
  chosen.codec_context.options = {'max_pixels': str(limits.MAX_PIXELS)}
  return chosen


def unreadable(error):
  """The `VideoError` of an `OSError` of a file, possibly a `PassingError`."""
  if isinstance(error, FileNotFoundError):
    return PassingError('file does not exist')
  kind = VideoError if error.errno in _LASTING else PassingError
  return kind(f'file cannot be read: {reason(error)}')


def reason(error):
  """The words of an error without those that differ from time to time."""
  return getattr(error, 'strerror', None) or str(error)


def _check(path):
  """Raises VideoError if a path is not a regular file that holds something."""
  try:
    found = os.stat(path)
  except OSError as error:
    raise unreadable(error) from error
  except ValueError as error:  # no file can have such a name
    raise VideoError(f'file cannot be read: {error}') from error
  if stat.S_ISDIR(found.st_mode):
    raise VideoError('not a readable video: Is a directory')
  if why := limits.irregular(found):
    raise VideoError(why)
  if found.st_size == 0:
    raise VideoError('file is empty (0 bytes)')


class _File(io.FileIO):
  """A file that FFmpeg reads; it remembers when its disk failed."""

  def __init__(self, path):
    self.failure = None
    try:
      super().__init__(path, opener=_open)
    except OSError as error:
      raise unreadable(error) from error
    # FFmpeg looks at the ending, where the content leaves a doubt.
    suffix = os.path.splitext(os.fspath(path))[1].lower()
    plain = suffix[1:].isascii() and suffix[1:].isalnum()
    self.name = f'video{suffix if plain and suffix not in _PICTURE else ""}'

  def read(self, size=-1):
    try:
      return super().read(size)
    except OSError as error:
      self.failure = error
      raise


def _open(path, flags):
  # What has become a pipe since it was looked at does not block.
  return os.open(path, flags | os.O_NONBLOCK)


def _raise_failed(file):
  if file.failure:
    raise unreadable(file.failure) from file.failure


def _why(error, path):
  """Why FFmpeg has not opened a file, in words."""
  start = b''
  with contextlib.suppress(OSError), open(path, 'rb') as file:
    start = file.read(64)
  return _explain(error, start)


def _explain(error, start):
  """Why FFmpeg has not opened what starts with these bytes, in words."""
  start = start.removeprefix(b'\xef\xbb\xbf').lstrip().lower()
  if start.startswith(_PLAYLISTS):
    return 'it is a playlist, which names other files; give those'
  if isinstance(error, av.error.ArgumentError):
    return 'it is of no container format that is read (see docs/data.md)'
  return reason(error)
