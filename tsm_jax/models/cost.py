"""What a network costs: parameters and multiply-adds, without running it."""

import math

import jax
from jax.extend import core


def multiply_adds(function, *args):
  """Multiply-adds of all convolutions and matrix products in `function(*args)`.

  This is what the paper calls FLOPs (section 5); a FLOP count proper is twice
  that.

  Args:
    function: any function that JAX can trace.
    *args: arrays or `jax.ShapeDtypeStruct`.

  Returns:
    An integer.
  """
  return _count(jax.make_jaxpr(function)(*args).jaxpr)


def _count(jaxpr):
  total = 0
  for equation in jaxpr.eqns:
    out = equation.outvars[0].aval
    if equation.primitive.name == 'conv_general_dilated':
      kernel = equation.invars[1].aval.shape
      spec = equation.params['dimension_numbers'].rhs_spec
      taps = math.prod(kernel) // kernel[spec[0]]  # all but output channels
      total += math.prod(out.shape) * taps
    elif equation.primitive.name == 'dot_general':
      (contracted, _), _ = equation.params['dimension_numbers']
      shape = equation.invars[0].aval.shape
      total += math.prod(out.shape) * math.prod(shape[i] for i in contracted)
    for inner in core.jaxprs_in_params(equation.params):
      total += _count(inner)
  return total


def num_parameters(params):
  """The number of values in a tree of arrays or shapes."""
  return sum(math.prod(x.shape) for x in jax.tree.leaves(params))
