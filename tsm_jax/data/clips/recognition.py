"""Which files may be videos: by their endings, else by opening them."""

import os

from tsm_jax import errors
from tsm_jax.data.clips import images, opening, videos

# What lies beside videos and is not worth being opened.
_OTHERS = (
  *('.ass', '.bin', '.csv', '.db', '.doc', '.docx', '.h5', '.hdf5', '.htm'),
  *('.html', '.ini', '.ipynb', '.json', '.jsonl', '.lock', '.log', '.mat'),
  *('.md', '.npy', '.npz', '.parquet', '.pdf', '.pickle', '.pkl', '.pt'),
  *('.pth', '.py', '.rst', '.sh', '.srt', '.vtt', '.toml', '.tsv'),
  *('.txt', '.xls', '.xlsx', '.xml', '.yaml', '.yml', '.gz', '.rar', '.tar'),
  *('.tgz', '.zip', '.7z', '.svg', '.tif', '.tiff', '.heic', '.psd'),
  *('.aac', '.flac', '.m4a', '.mp3', '.oga', '.ogg', '.opus', '.wav', '.wma'),
)
# FFmpeg's names of containers. It takes almost anything for a bare stream.
_CONTAINERS = {
  *('asf', 'avi', 'dv', 'flv', 'gif', 'matroska', 'mov', 'mpeg', 'mpegts'),
  *('mxf', 'nut', 'ogg', 'rm', 'wtv', 'yuv4mpegpipe'),
}


def is_video(path):
  """Whether a file has the ending of a video, or an unknown one and is one."""
  suffix = os.path.splitext(path)[1].lower()
  if suffix in videos.SUFFIXES:
    return True
  return suffix not in (*_OTHERS, *images.SUFFIXES) and _opens(path)


def _opens(path):
  try:
    with opening.container(path) as container:
      kind = container.format.name.split(',')[0]
      return kind in _CONTAINERS and bool(opening.video(container))
  except (errors.InputError, OSError):
    return False
