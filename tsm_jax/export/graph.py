"""The function that leaves: uint8 frames to probabilities.

A clip is answered as by evaluation; a step is one frame of every stream, and
takes and gives what `stream.cache` keeps between two frames.
"""

from collections.abc import Callable
import contextlib
import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from tsm_jax import errors
from tsm_jax.data.input import cropping
from tsm_jax.export import entry
from tsm_jax.models import folding
from tsm_jax.stream import agreement, cache

KINDS = ('clip', 'step')


class Tensor(NamedTuple):
  """An input or output of a graph.

  Attributes:
    name: of the tensor.
    dtype: 'uint8' or 'float32'.
    shape: a batch of any size is None.
  """

  name: str
  dtype: str
  shape: tuple[int | None, ...]


@dataclasses.dataclass(frozen=True)
class Graph:
  """A function of arrays, with its weights.

  Attributes:
    what: 'clip' or 'step'.
    weights: a tree of float32 arrays, BatchNorm folded.
    apply: `(native, weights, *inputs) -> outputs`, see `folding.folded`.
    inputs: a `Tensor` each, in the order of the arguments.
    outputs: a `Tensor` each, in the order of the results.
    caches: `(input name, output name)` of what goes on to the next step.
    trained: the `checkpoints.TrainedModel` that it was made of.
  """

  what: str
  weights: Any
  apply: Callable[..., Any]
  inputs: tuple[Tensor, ...]
  outputs: tuple[Tensor, ...]
  caches: tuple[tuple[str, str], ...]
  trained: Any = None

  def function(self, *inputs):
    """The outputs, a tuple, by operations that other compilers know."""
    return self.apply(False, self.weights, *inputs)

  def native(self, weights, *inputs):
    """The same in the form that each platform of JAX runs fastest."""
    return self.apply(True, weights, *inputs)

  def shapes(self, batch=1):
    """The inputs as `jax.ShapeDtypeStruct`, a batch of any size as `batch`."""
    return [
      jax.ShapeDtypeStruct(
        tuple(batch if n is None else n for n in x.shape), x.dtype
      )
      for x in self.inputs
    ]


def in_float32(trained):
  """A model as it leaves: one trained in bfloat16 computes in float32."""
  config = trained.config.copy_and_resolve_references()
  config.dtype = 'float32'
  return dataclasses.replace(trained, config=config)


def create(trained, what, batch, together=0, by_products=False):
  """The graph of a trained model.

  Args:
    trained: a `checkpoints.TrainedModel`; it leaves `in_float32`.
    what: 'clip' or 'step'.
    batch: number of clips or streams, or None for any.
    together: 0, or for a graph to be quantised, whose first convolution takes
      pixels, see `entry.of_pixels`; such a graph has `function` only. Otherwise
      the features of a step may be `parts.Parts`, which is faster; with 8 bits,
      each of two products that make a sum would be rounded.
    by_products: whether a network that it suits, as MobileNetV2, shifts a frame
      so, see `folding.folded`.

  Returns:
    A `Graph`. A clip has the input frames, uint8 `[B, T, S, S, 3]`, where S is
    `cropping.full_size` of the image size; a step has frames uint8
    `[B, S, S, 3]`, reset uint8 `[B]` (where it is 1, the stream begins at this
    frame) and one input of each cache. The first output is probabilities,
    float32 `[B, K]`; then come the caches for the next step.

  Raises:
    InputError: if the model is not for RGB frames, or cannot do steps.
  """
  preprocessing = trained.preprocessing
  if preprocessing.modality != 'rgb':
    raise errors.InputError(
      f'model.modality is {preprocessing.modality!r}, which is made of several '
      'frames at once; an export takes the frames of a camera: train a model '
      "of 'rgb' for it."
    )
  # Where it will run is not known, whatever this machine is.
  model = in_float32(trained).module().clone(platform=None)
  shape = preprocessing.clip_shape()
  in_parts = what == 'step' and not together
  weights = folding.fold(model, trained.variables, shape, in_parts)
  make = {'clip': _clip, 'step': _step}[what]
  by_products &= model.shift_by_products
  begin = _Entry(preprocessing, together, by_products)
  made = make(model, weights, begin, batch)
  return dataclasses.replace(made, trained=trained)


def default_kind(trained):
  """'step' of a model that never looks ahead, otherwise 'clip'."""
  model = trained.module()
  past = model.direction == 'past' and agreement.can_stream(model)
  return 'step' if past else 'clip'


class _Entry(NamedTuple):
  """How frames come to the network, see `entry`, and how it is applied."""

  preprocessing: Any
  together: int
  by_products: bool

  def frames(self, given):
    """What the network is applied to."""
    if self.together:
      given = cropping.centre(given, self.preprocessing.image_size)
      return given.astype(np.float32)
    return entry.normalized(given, self.preprocessing)

  @contextlib.contextmanager
  def applied(self, native):
    """Lets it be applied."""
    first = contextlib.nullcontext()
    if self.together:
      first = entry.of_pixels(self.preprocessing, self.together)
    with first, folding.folded(native, self.by_products):
      yield


def _clip(model, weights, begin, batch):
  preprocessing = begin.preprocessing

  def apply(native, weights, frames):
    with begin.applied(native):
      logits = model.apply(weights, begin.frames(frames))
    return (jax.nn.softmax(logits),)

  shape = (batch, preprocessing.num_frames, *_square(preprocessing))
  frames = Tensor('frames', 'uint8', shape)
  return Graph(
    'clip', weights, apply, (frames,), (_probabilities(model, batch),), ()
  )


def _step(model, weights, begin, batch):
  preprocessing = begin.preprocessing
  fresh = cache.init_cache(model, 1, preprocessing.image_size)
  # A shift of too few channels moves none, and has an empty cache.
  leaves = [x for x in jax.tree.leaves_with_path(fresh) if x[1].size]

  def apply(native, weights, frames, reset, *caches):
    given = iter(caches)
    shape = (frames.shape[0],)
    old = jax.tree.map(
      lambda x: next(given) if x.size else jnp.zeros(shape + x.shape[1:]), fresh
    )
    # Not every runtime takes flags, as that of browsers; nor compares bytes.
    begins = reset.astype('int32') != 0
    with begin.applied(native):
      logits, new = cache.step(
        model, weights, old, begin.frames(frames), begins
      )
    new = [x for x in jax.tree.leaves(new) if x.size]
    return jax.nn.softmax(logits), *new

  old, new = (_caches(prefix, leaves, batch) for prefix in ('cache', 'next'))
  frames = Tensor('frames', 'uint8', (batch, *_square(preprocessing)))
  return Graph(
    'step',
    weights,
    apply,
    (frames, Tensor('reset', 'uint8', (batch,)), *old),
    (_probabilities(model, batch), *new),
    tuple((a.name, b.name) for a, b in zip(old, new)),
  )


def _caches(prefix, leaves, batch):
  """A `Tensor` for each `(path, array)`, such as cache_block3_shift_past."""
  found = []
  for path, leaf in leaves:
    name = '_'.join((prefix, *(key.key for key in path)))
    found.append(Tensor(name, 'float32', (batch, *leaf.shape[1:])))
  return tuple(found)


def _square(preprocessing):
  """The shape of a frame as it comes in."""
  side = cropping.full_size(preprocessing.image_size)
  return (side, side, 3)


def _probabilities(model, batch):
  return Tensor('probabilities', 'float32', (batch, model.num_classes))
