"""What XLA is asked for when it compiles a training step for a CPU.

By default XLA hands convolutions, products and sums to a library, YNNPACK.
Large sums, as those of BatchNorm, are fast there. Convolutions and products are
not in a backward pass: the library has the operands in other layouts, and XLA
copies them. So the library is left the sums alone, and Eigen has the rest.
"""

import functools

import jax

# Frames up to this size are compiled as ever, so that the numbers of the
# quickstart are what they were. Their maps are small, and little is gained.
SMALL_FRAME = 72  # pixels
SUMS = {
  'xla_cpu_experimental_ynn_fusion_type': 'LIBRARY_FUSION_TYPE_REDUCE',
}


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
