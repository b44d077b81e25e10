"""BatchNorm as part of the convolution in front of it, where nothing trains.

At evaluation a BatchNorm is a factor and a summand of each channel. A network
that leaves has them in the weights and the bias of what it normalises, a
convolution or a `Dense`. Which that is follows from the flow of the data, not
from names, so that no network needs to know of it.
"""

import contextlib
import functools

from flax import linen as nn
from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from tsm_jax.models import compiler_options
from tsm_jax.models.layers import (
  batch_norm,
  behind,
  convolution,
  folded_shift,
  parts,
  pooling,
  residual,
  temporal_shift,
)

_LAYERS = (nn.Conv, nn.Dense)
# Layers whose form depends on the platform, and one that all compilers know.
_PLAIN = {
  pooling.MaxPool: pooling.library,
  residual.ReluOfSum: residual.plain,
}
# Who asks for another form of the shift gets it.
_IN_PARTS = ('auto', 'concatenate')


def fold(model, variables, clip_shape, in_parts=False, here=False):
  """The parameters of a model without its BatchNorms.

  Args:
    model: from `models.create_model`.
    variables: its params and batch_stats.
    clip_shape: `(1, T, H, W, C)`.
    in_parts: whether features are `parts.Parts` where the model permits it.
    here: whether XLA compiles it for a CPU, see `_places`.

  Returns:
    A dict of params only, float32 NumPy arrays, for `folded`; if in parts,
    kernels and biases may be tuples, see `parts.split`.
  """
  variables = jax.tree.map(np.asarray, variables)
  stats = traverse_util.flatten_dict(variables.get('batch_stats', {}))
  params = traverse_util.flatten_dict(variables['params'])
  for layer, (norm, places) in _pairs(model, clip_shape, here).items():
    scale, shift = (params.pop((*norm, name)) for name in ('scale', 'bias'))
    mean, var = (stats[*norm, name] for name in ('mean', 'var'))
    bias = params.get((*layer, 'bias'), 0.0)
    with np.errstate(all='ignore'):  # what diverged says so by its results
      factor = scale / np.sqrt(np.float64(var) + batch_norm.EPSILON)
      kernel = np.float32(params[*layer, 'kernel'] * factor)
      bias = np.float32((bias - mean) * factor + shift)
    if in_parts and any(places[0]):
      kernel, bias = parts.split(kernel, bias, *places)
    params[*layer, 'kernel'], params[*layer, 'bias'] = kernel, bias
  return {'params': traverse_util.unflatten_dict(params)}


def prepare(model, variables, clip_shape):
  """What a network computes with on this machine: on CPU without BatchNorm.

  Args:
    model: from `models.create_model`.
    variables: its params and batch_stats.
    clip_shape: `(1, T, H, W, C)`.

  Returns:
    `(variables, applied)`: for `model.apply`, which has to be traced inside of
    the context manager `applied()`: `contextlib.nullcontext` if nothing is new.
  """
  on_cpu = jax.default_backend() == 'cpu'
  if not on_cpu or jnp.dtype(model.dtype) != np.float32:
    return variables, contextlib.nullcontext
  in_parts = model.shift_form in _IN_PARTS
  folded_variables = fold(model, variables, clip_shape, in_parts, here=True)
  return folded_variables, _NATIVE[in_parts]


def jit(function, applied, image_size, **options):
  """A forward pass, compiled for what `prepare` returned.

  Args:
    function: of variables, and of what else it takes.
    applied: from `prepare`.
    image_size: side of the frames, in pixels.
    **options: of `jax.jit`.
  """

  @functools.wraps(function)  # the program has its name
  def traced(*args):
    with applied():
      return function(*args)

  options['compiler_options'] = compiler_options.for_inference(
    applied, image_size
  )
  return jax.jit(traced, **options)


def _pairs(model, clip_shape, here):
  """The layers in front of a norm.

  Returns:
    A dict from the path of each to `(path of the norm, _places)`.
  """
  found, last = {}, None

  def note(call, args, kwargs, context):
    nonlocal last
    module = context.module
    if isinstance(module, batch_norm.BatchNorm):
      layer, output = last
      if output is not args[0]:
        raise AssertionError(f'{module.path} normalises no layer.')
      found[layer.scope.path] = module.scope.path, _places(layer, here)
    output = call(*args, **kwargs)
    if isinstance(module, _LAYERS):
      last = module, output
    return output

  frames = jax.ShapeDtypeStruct(clip_shape, np.float32)
  with nn.intercept_methods(note):
    jax.eval_shape(model.init, jax.random.key(0), frames)
  return found


def _places(layer, here):
  """`(apart, beside)` of a layer, for `parts.split`.

  A CPU picks rows for a convolution with strides anyway, so that it joins them
  there, and has one product. That its shift takes what moves beside all
  features, with weights of zero, is for XLA alone, which would compute what is
  in front of the shift once more.
  """
  if not isinstance(layer, convolution.Conv):
    return (0, 0), False
  taken, given = layer.apart
  if max(layer.strides) > 1 if here else layer.beside:
    taken = 0
  return (taken, given), layer.beside and here


@contextlib.contextmanager
def folded(native=False, by_products=False, beside=False):
  """Lets `apply` of a model take what `fold` returned.

  Args:
    native: computes convolutions and shifts in the form that each platform of
      JAX runs fastest, as in training, except that the shift of a single frame
      is a concatenation, which CPUs do faster. Otherwise they are for other
      compilers: a convolution and a pooling are one operation each, a shift a
      concatenation.
    by_products: whether the shift of one frame takes no slices, if only
      convolutions read what is shifted: one of the identity makes the next
      cache, and those behind a shift get its cache and all features, with
      weights of zero for those that it drops. That is for runtimes that
      multiply faster than they copy many short rows.
    beside: whether `fold` was called in parts and for here.
  """

  def without_norm(call, args, kwargs, context):
    module = context.module
    if isinstance(module, batch_norm.BatchNorm):
      return args[0]
    if isinstance(module, nn.Conv):
      convolve = jax.lax.conv_general_dilated
      if native:
        convolve = module.conv_general_dilated
      return _conv(module, args[0], convolve)
    if type(module) in _PLAIN and not native:
      return _PLAIN[type(module)](*args)
    if isinstance(module, temporal_shift.TemporalShift):
      y = folded_shift.shifted(module, *args, native, by_products, beside)
      if y is not None:
        return y
    return call(*args, **kwargs)

  with nn.intercept_methods(without_norm):
    yield


# Each is one object, by which what is compiled in it can be found again.
_NATIVE = {
  in_parts: functools.partial(folded, native=True, beside=in_parts)
  for in_parts in (False, True)
}


def _conv(module, x, convolve):
  """A layer of `convolution.convolution`, with a bias."""
  kernel, bias = (module.variables['params'][x] for x in ('kernel', 'bias'))
  strides = module.strides
  if isinstance(x, parts.Parts) and len(kernel[0]) == 1:
    x, strides = parts.joined(parts.strided(x, strides)), (1, 1)

  def conv(x, kernel):
    return convolve(
      x,
      kernel,
      strides,
      [(module.padding, module.padding)] * 2,
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
      feature_group_count=module.feature_group_count,
    )

  if isinstance(kernel, tuple):
    return parts.convolve(x, kernel, bias, conv)
  x, kernel = behind.joined(x, kernel)
  return conv(x, kernel) + bias.reshape((1, 1, 1, -1))
