"""What some blocks of a network move, by compiled programs that nobody runs.

As a program it compiles for one TPU v5e and prints what `measure` found:

  python tests/support/traffic.py
"""

import functools
import json

FRAMES, WIDTH = 8, 64
TRAINED = ('training', 'long', 'in place', 'inverted')


def size(use):
  """Clips and the side of their frames, as of `measure`.

  What a training moves is the same share of any; smaller ones compile faster.
  In inference, the masks of the channels would be more than a ten thousandth.
  """
  return (4, 14) if use in TRAINED else (8, 28)


def measure(use, form, device):
  """`(bytes, copies)` of the program of some blocks.

  Args:
    use: 'training' or 'inference', of the first blocks of ResNet-50, or
      'strided': inference where its stage 3 begins, or 'long': training with
      clips of 16 frames, half as many, or 'in place': training of four
      with `model.shift=block`, or 'inverted': training of MobileNetV2's blocks.
    form: see `shift_forms.FORMS`; 'none' is without a shift.
    device: of `jax`, which does not have to be there.

  Returns:
    What XLA counts, and how many full feature maps are copied or transposed
    without anything else.
  """
  from tsm_jax.plan import hlo

  compiled = compile_blocks(use, form, device)
  computations, entry = hlo.parse(compiled.as_text())
  copies = _count(use, computations[entry], 'copy', 'transpose')
  return compiled.cost_analysis()['bytes accessed'], copies


def selections(use, form, device):
  """How many full feature maps the program chooses value by value."""
  from tsm_jax.plan import hlo

  compiled = compile_blocks(use, form, device)
  computations, _ = hlo.parse(compiled.as_text())
  return sum(_count(use, lines, 'select') for lines in computations.values())


def _count(use, lines, *opcodes):
  from tsm_jax.plan import hlo

  clips, side = size(use)
  smallest = clips * FRAMES * side**2 * WIDTH * 2  # bytes of a full map
  return sum(
    line.opcode in opcodes and hlo.shape_bytes(line.shape) >= smallest
    for line in lines
  )


@functools.cache
def compile_blocks(use, form, device):
  """The program of some blocks, as of `measure`."""
  import jax
  import jax.numpy as jnp

  dtype = usual_dtype(device.platform)
  place = jax.sharding.SingleDeviceSharding(device)
  clips, side = size(use)
  x = jax.ShapeDtypeStruct(
    (clips * FRAMES, side, side, WIDTH), dtype, sharding=place
  )
  blocks = some_blocks(form, device.platform, use)
  variables = jax.eval_shape(blocks.init, jax.random.key(0), x)

  def forward(variables, x):
    return blocks.apply(variables, x, mutable=['batch_stats'])

  def loss(params, variables, x):
    y, updates = forward({**variables, 'params': params}, x)
    return jnp.square(y.astype(jnp.float32)).sum(), updates

  def step(variables, x):
    gradient = jax.grad(loss, argnums=(0, 2), has_aux=True)
    return gradient(variables['params'], variables, x)

  function = step if use in TRAINED else forward
  return jax.jit(function).lower(variables, x).compile()


def usual_dtype(platform):
  return 'float32' if platform == 'cpu' else 'bfloat16'


def some_blocks(form, platform, use):
  """The blocks of `measure`, as their networks make them."""
  from flax import linen as nn

  from tsm_jax.models import mobilenet_v2, resnet, shift_forms
  from tsm_jax.models.layers import batch_norm, convolution
  from tsm_jax.models.layers import temporal_shift as layers

  train = use in TRAINED
  dtype = usual_dtype(platform)
  temporal_shift = functools.partial(
    layers.TemporalShift,
    2 * FRAMES if use == 'long' else FRAMES,
    form=shift_forms.choose(
      form, platform, 'training' if train else 'inference'
    ),
  )
  fields = dict(
    conv=functools.partial(
      convolution.convolution,
      dtype=dtype,
      conv_general_dilated=convolution.form(platform),
    ),
    norm=functools.partial(batch_norm.BatchNorm, train, dtype=dtype),
    shift=None if form == 'none' else temporal_shift,
  )
  if use == 'inverted':
    block = functools.partial(mobilenet_v2.InvertedResidual, expansion=6)
    fields.update(out_channels=WIDTH, stride=1)
    return nn.Sequential([block(**fields), block(**fields)])
  block = functools.partial(
    resnet.Block,
    shift_identity=use == 'in place',
    groups=1,
    bottleneck=True,
    downsample='conv',
    **fields,
  )
  # In place, the first and the last block are not as those between them.
  count = 4 if use == 'in place' else 2
  scales = ((2, 1), (4, 2)) if use == 'strided' else ((1, 1),) * count
  return nn.Sequential(
    [
      block(width=n * WIDTH, out_channels=4 * n * WIDTH, stride=stride)
      for n, stride in scales
    ]
  )


def main():
  from tsm_jax.plan import topology

  topology.prepare()
  device = topology.devices(topology.parse('v5e:1x1'))[0]
  found = {
    use: {form: measure(use, form, device) for form in ('none', 'auto', *more)}
    for use, *more in (
      ('training', 'select'),
      ('inference', 'select'),
      ('strided',),
      ('in place',),
      ('inverted',),
    )
  }
  # Without a shift, it does not matter how many frames a clip has.
  found['long'] = {
    'none': found['training']['none'],
    'auto': measure('long', 'auto', device),
  }
  print(json.dumps(found))


if __name__ == '__main__':
  main()
