"""What XLA is asked for when it compiles for a CPU.

By default XLA hands convolutions, products and sums to a library, YNNPACK.
Large sums, as those of BatchNorm, are fast there. Convolutions and products are
not in a backward pass: the library has the operands in other layouts, and XLA
copies them. So the library is left the sums alone, and Eigen has the rest.

A forward pass without BatchNorm has no large sums, and Eigen has it all. What
shifts split into two products costs no more there than one.
"""

import contextlib
import functools

import jax

# Frames up to this size are compiled as ever, so that the numbers of the
# quickstart are what they were. Their maps are small, and little is gained.
SMALL_FRAME = 72  # pixels
SUMS = {
  'xla_cpu_experimental_ynn_fusion_type': 'LIBRARY_FUSION_TYPE_REDUCE',
}
NO_LIBRARY = {'xla_cpu_experimental_ynn_fusion_type': ''}


def for_training(platform, image_size):
  """The options of a training step.

  Args:
    platform: of the devices: 'cpu', 'gpu' or 'tpu'.
    image_size: side of the frames, in pixels.

  Returns:
    A dict for `compiler_options` of `jax.jit`, or None: those of XLA.
  """
  if platform != 'cpu' or image_size <= SMALL_FRAME:
    return None
  return dict(SUMS) if are_known(tuple(SUMS.items())) else None


def for_inference(applied, image_size):
  """The options of a forward pass.

  Args:
    applied: from `folding.prepare`: the context that it is traced in.
    image_size: side of the frames, in pixels.

  Returns:
    As `for_training`.
  """
  if applied is contextlib.nullcontext or image_size <= SMALL_FRAME:
    return None
  return dict(NO_LIBRARY) if are_known(tuple(NO_LIBRARY.items())) else None


@functools.cache
def are_known(options):
  """Whether the XLA that is installed knows some options, and their values.

  Args:
    options: a tuple of `(name, value)`.
  """
  program = jax.jit(lambda: 0.0).lower()
  try:
    program.compile(compiler_options=dict(options))
  except (jax.errors.JaxRuntimeError, ValueError):
    return False
  return True
