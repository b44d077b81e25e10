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

from tsm_jax.models import compiler_options, shift, shift_forms
from tsm_jax.models.layers import (
  batch_norm,
  behind,
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


def fold(model, variables, clip_shape, in_parts=False):
  """The parameters of a model without its BatchNorms.

  Args:
    model: from `models.create_model`.
    variables: its params and batch_stats.
    clip_shape: `(1, T, H, W, C)`.
    in_parts: whether features are `parts.Parts` where the model permits it.

  Returns:
    A dict of params only, float32 NumPy arrays, for `folded`; if in parts,
    kernels and biases may be tuples, see `parts.split`.
  """
  variables = jax.tree.map(np.asarray, variables)
  stats = traverse_util.flatten_dict(variables.get('batch_stats', {}))
  params = traverse_util.flatten_dict(variables['params'])
  for layer, (norm, apart) in _pairs(model, clip_shape).items():
    scale, shift = (params.pop((*norm, name)) for name in ('scale', 'bias'))
    mean, var = (stats[*norm, name] for name in ('mean', 'var'))
    bias = params.get((*layer, 'bias'), 0.0)
    with np.errstate(all='ignore'):  # what diverged says so by its results
      factor = scale / np.sqrt(np.float64(var) + batch_norm.EPSILON)
      kernel = np.float32(params[*layer, 'kernel'] * factor)
      bias = np.float32((bias - mean) * factor + shift)
    if in_parts and any(apart):
      kernel, bias = parts.split(kernel, bias, apart)
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
  return fold(model, variables, clip_shape, in_parts), _NATIVE


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


def _pairs(model, clip_shape):
  """The layers in front of a norm.

  Returns:
    A dict from the path of each to `(path of the norm, apart)`, see
    `convolution.Conv`.
  """
  found, last = {}, None

  def note(call, args, kwargs, context):
    nonlocal last
    module = context.module
    if isinstance(module, batch_norm.BatchNorm):
      layer, output = last
      if output is not args[0]:
        raise AssertionError(f'{module.path} normalises no layer.')
      apart = getattr(layer, 'apart', (0, 0))
      found[layer.scope.path] = module.scope.path, apart
    output = call(*args, **kwargs)
    if isinstance(module, _LAYERS):
      last = module, output
    return output

  frames = jax.ShapeDtypeStruct(clip_shape, np.float32)
  with nn.intercept_methods(note):
    jax.eval_shape(model.init, jax.random.key(0), frames)
  return found


@contextlib.contextmanager
def folded(native=False, by_products=False):
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
      if isinstance(args[0], parts.Parts):
        return _shift_parts(module, args[0], native)
      if by_products and module.streaming and module.num_frames == 1:
        return _shift_by_products(module, args[0])
      if not native or (module.streaming and module.num_frames == 1):
        return _shift(module, args[0])
    return call(*args, **kwargs)

  with nn.intercept_methods(without_norm):
    yield


# One object, by which what is compiled in this context can be found again.
_NATIVE = functools.partial(folded, native=True)


def _conv(module, x, convolve):
  """A layer of `convolution.convolution`, with a bias."""

  def conv(x, kernel):
    return convolve(
      x,
      kernel,
      module.strides,
      [(module.padding, module.padding)] * 2,
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
      feature_group_count=module.feature_group_count,
    )

  kernel, bias = (module.variables['params'][x] for x in ('kernel', 'bias'))
  if isinstance(kernel, tuple):
    return parts.convolve(x, kernel, bias, conv)
  x, kernel = behind.joined(x, kernel)
  return conv(x, kernel) + bias.reshape((1, 1, 1, -1))


def _shift(module, x):
  """A shift of `[B * T, H, W, C]`, or of one frame behind its cache."""
  if module.streaming:
    cache = module.get_variable('cache', 'past')
    fold = cache.shape[-1]
    if not fold:  # too few channels to move any
      return x
    module.put_variable('cache', 'past', x[..., :fold])
    return jnp.concatenate([cache, x[..., fold:]], axis=-1)
  clips = x.reshape((-1, module.num_frames, *x.shape[1:]))
  y = shift.concatenated_shift(clips, module.fold_div, module.direction)
  return y.reshape(x.shape)


def _shift_by_products(module, x):
  """All features `[B, H, W, C]` as `behind.Behind` their cache."""
  cache = module.get_variable('cache', 'past')
  fold = cache.shape[-1]
  if not fold:
    return x
  first = np.eye(x.shape[-1], fold, dtype=np.float32)[None, None]
  following = jax.lax.conv_general_dilated(
    x, first, (1, 1), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC')
  )
  module.put_variable('cache', 'past', following)
  return behind.Behind(jnp.concatenate([cache, x], axis=-1), fold)


def _shift_parts(module, x, native):
  """The same of `parts.Parts`.

  Here a selection is faster than a concatenation on CPUs: what it reads lies
  there, see `residual`, and nothing but what moves is selected.
  """
  y = x.moved
  clips = y.reshape((-1, module.num_frames, *y.shape[1:]))
  if module.streaming:
    cache = module.get_variable('cache', 'past')
    module.put_variable('cache', 'past', clips[:, -1])
    before = [cache[:, None]]
    if module.num_frames > 1:  # ONNX knows no empty parts
      before.append(clips[:, :-1])
    clips = jnp.concatenate(before, axis=1)
  else:
    steps = shift.STEPS[module.direction]
    form = 'select' if native else 'concatenate'
    fold = y.shape[-1] // len(steps)
    clips = shift_forms.shifted(clips, fold, steps, form)
  return parts.Parts(clips.reshape(y.shape), x.rest)
