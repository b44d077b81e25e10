"""The arrays of a saved item: their shapes, and themselves."""

import math

from flax import traverse_util
import jax
import numpy as np
import orbax.checkpoint as ocp
import tensorstore

from tsm_jax import errors, files, models
from tsm_jax.data.input import preprocess

# An item may take this many bytes of memory, or so many times its files: small
# files that fill the memory are no weights.
_SMALL = 2**28
_MAX_RATIO = 100


def shapes(item):
  """The tree of `jax.ShapeDtypeStruct` of an item, from what it says of itself.

  Args:
    item: the folder, an `epath.Path`.

  Raises:
    InputError: if it does not say, or the arrays would take far more memory
      than its files.
  """
  files.read_json(item / '_METADATA')
  with explained(item):
    found = ocp.StandardCheckpointHandler().metadata(item).tree
    _check_sizes(
      item,
      [
        (m.shape, getattr(m.storage, 'chunk_shape', None), m.dtype)
        for m in jax.tree.leaves(found)
      ],
    )
    return jax.tree.map(lambda m: jax.ShapeDtypeStruct(m.shape, m.dtype), found)


def check_fit(item, found, config):
  """Raises InputError unless arrays are those of the network of `config`.

  Args:
    item: the folder, for the message.
    found: their shapes, from `shapes`.
    config: of the checkpoint.
  """
  model = models.create_model(config.model)
  clip = preprocess.Preprocessing.from_config(config).clip_shape()
  expected = models.shapes(model, clip)
  found, expected = (
    {k: v.shape for k, v in traverse_util.flatten_dict(tree, sep='/').items()}
    for tree in (found, expected)
  )
  for name in sorted(expected.keys() | found.keys()):
    there, needed = found.get(name, 'missing'), expected.get(name, 'no part')
    if there != needed:
      raise errors.InputError(
        f'{item} does not fit the network that its config describes: {name} '
        f'is {there} there and {needed} of the network.'
      )


def restore(item, abstract):
  """The arrays of an item.

  Args:
    item: the folder, an `epath.Path`.
    abstract: a tree of shapes with shardings.

  Raises:
    InputError: if they cannot be read.
  """
  with explained(item):
    return ocp.StandardCheckpointHandler().restore(
      item, args=ocp.args.StandardRestore(abstract)
    )


def read(item):
  """Reads every array of an item and forgets it.

  One after the other: orbax reads them all at once, and where one fails, it may
  wait for the others forever.

  Raises:
    InputError: if one cannot be read.
  """
  for name in files.walk(item):
    if not files.is_regular(item / name):
      raise errors.InputError(f'{item / name} is no file.')
  base = str(item) if files.is_remote(item) else f'file://{item}'
  kvstore = {'driver': 'ocdbt', 'base': f'{base}/'}
  with explained(item):
    found = tensorstore.KvStore.open(kvstore).result().list().result()
    names = [k.decode() for k in found if k.endswith(b'/.zarray')]
    for name in names:
      path = name.removesuffix('.zarray')
      array = tensorstore.open(
        {'driver': 'zarr', 'kvstore': {**kvstore, 'path': path}}
      ).result()
      chunk = array.chunk_layout.read_chunk.shape
      _check_sizes(item, [(array.shape, chunk, array.dtype.numpy_dtype)])
      array.read().result()


class explained:
  """Turns what the libraries make of a damaged file into one sentence."""

  def __init__(self, path):
    self._path = path

  def __enter__(self):
    return self

  def __exit__(self, kind, error, traceback):
    # Storage that cannot be reached is another matter.
    if not isinstance(error, Exception) or isinstance(
      error, errors.InputError | PermissionError | ConnectionError
    ):
      return
    lines = str(error).splitlines() or [kind.__name__]
    raise errors.InputError(
      f'{self._path} cannot be read ({lines[0][:200]}).'
    ) from error


def _check_sizes(item, found):
  """Raises InputError if arrays would take far more memory than their files.

  Args:
    item: the folder.
    found: shape, chunk's shape (which is decoded whole; or None) and dtype of
      each.
  """
  total = sum(
    max(math.prod(shape), math.prod(chunk or ())) * np.dtype(dtype).itemsize
    for shape, chunk, dtype in found
  )
  stored = sum((item / name).stat().length for name in files.walk(item))
  if total > max(_SMALL, _MAX_RATIO * stored):
    raise errors.InputError(
      f'{item}: its {stored / 1e6:.1f} MB would become {total / 1e9:.1f} GB of '
      'arrays; these are no weights of a model.'
    )
