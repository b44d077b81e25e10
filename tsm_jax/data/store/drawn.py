"""The quickstarts' videos, which are drawn where they are asked for."""

import os
import pathlib

from tsm_jax.data.sources import published
from tsm_jax.data.store import locks


def data_dir(data):
  """The folder of built datasets and of drawn videos.

  Args:
    data: the fields of `configs/common.py`'s `data`.
  """
  usual = os.environ.get('TFDS_DATA_DIR', '~/tensorflow_datasets')
  return pathlib.Path(data['data_dir'] or usual).expanduser()


def source(data, log=print):
  """The folder or list that `data['source']` is; it is drawn if need be.

  Args:
    data: the fields of `configs/common.py`'s `data`.
    log: called with every line for the user.
  """
  name = data['source']
  if name not in published.DRAWN:
    return name
  folder = data_dir(data)
  path = folder / f'{name}_videos_{published.DRAWN[name].VERSION}'
  if not path.exists():
    log(f'Drawing the {name} videos in {folder} ...')
  lock = folder / 'video_folder' / f'.{path.name}.lock'
  with locks.held(lock, path, log):
    return published.DRAWN[name].make(path)
