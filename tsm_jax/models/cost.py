"""What a network costs: parameters and multiply-adds, without running it."""

import math

import jax
from jax.extend import core
import numpy as np


def network(model, clip_shape):
  """What one clip costs a model.

  Args:
    model: a Flax module.
    clip_shape: `(1, T, H, W, C)`.

  Returns:
    `(parameters, layers, attention)`, integers: see `num_parameters` and
    `multiply_adds`.
  """
  frames = jax.ShapeDtypeStruct(clip_shape, np.float32)
  # To initialise a model, Flax applies it: one trace tells both.
  jaxpr, shapes = jax.make_jaxpr(model.init, return_shape=True)(
    jax.random.key(0), frames
  )
  return num_parameters(shapes['params']), *_count(jaxpr.jaxpr)


def multiply_adds(function, *args):
  """Multiply-adds of the convolutions and matrix products of a function.

  Those with weights are what the paper calls FLOPs (section 5); a FLOP count
  proper is twice that.

  Args:
    function: any function that JAX can trace.
    *args: arrays or `jax.ShapeDtypeStruct`.

  Returns:
    `(layers, attention)`, integers: products of features with weights, and
    products of features with features, in non-local blocks.
  """
  return _count(jax.make_jaxpr(function)(*args).jaxpr)


def _count(jaxpr):
  layers, attention = 0, 0
  for equation in jaxpr.eqns:
    out = equation.outvars[0].aval
    if equation.primitive.name == 'conv_general_dilated':
      kernel = equation.invars[1].aval.shape
      spec = equation.params['dimension_numbers'].rhs_spec
      taps = math.prod(kernel) // kernel[spec[0]]  # all but output channels
      layers += math.prod(out.shape) * taps
    elif equation.primitive.name == 'dot_general':
      (contracted, _), (batch, _) = equation.params['dimension_numbers']
      shape = equation.invars[0].aval.shape
      macs = math.prod(out.shape) * math.prod(shape[i] for i in contracted)
      # Weights have no batch axis in common with features.
      layers, attention = (
        (layers, attention + macs) if batch else (layers + macs, attention)
      )
    inner = [_count(x) for x in core.jaxprs_in_params(equation.params)]
    if equation.primitive.name == 'cond':  # one of several forms is computed
      inner = [max(inner)]
    for more in inner:
      layers, attention = layers + more[0], attention + more[1]
  return layers, attention


def num_parameters(params):
  """The number of values in a tree of arrays or shapes."""
  return sum(math.prod(x.shape) for x in jax.tree.leaves(params))
