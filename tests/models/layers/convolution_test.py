import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tsm_jax.models.layers import batch_norm, convolution

torch = pytest.importorskip('torch')


def test_batch_norm_equals_pytorch():
  rng = np.random.default_rng(0)
  x = (3 + 2 * rng.normal(size=(2, 3, 2, 5))).astype(np.float32)
  weight = rng.normal(size=(x.shape[-1],)).astype(np.float32)
  theirs = torch.nn.BatchNorm2d(5)
  with torch.no_grad():
    theirs.weight[:] = torch.tensor(weight)
  variables = batch_norm.BatchNorm(train=True).init(jax.random.key(0), x)
  variables['params']['scale'] = jnp.asarray(weight)

  @jax.jit
  def step(variables, x):
    def loss(x):
      y, state = batch_norm.BatchNorm(train=True).apply(
        variables, x, mutable=['batch_stats']
      )
      return jnp.square(y).sum(), (y, state)

    return jax.grad(loss, has_aux=True)(x)

  for _ in range(3):
    t = torch.tensor(x.transpose((0, 3, 1, 2)), requires_grad=True)
    expected = theirs(t)
    expected.square().sum().backward()
    gradient, (y, state) = step(variables, x)
    variables = {**variables, **state}
    for ours, torch_value in ((y, expected), (gradient, t.grad)):
      torch_value = torch_value.detach().numpy().transpose((0, 2, 3, 1))
      chex.assert_trees_all_close(ours, torch_value, rtol=1e-4, atol=1e-4)
    x = x + 1
  stats = variables['batch_stats']
  chex.assert_trees_all_close(
    (stats['mean'], stats['var']),
    (theirs.running_mean.numpy(), theirs.running_var.numpy()),
    rtol=1e-5,
  )
  y = batch_norm.BatchNorm(train=False).apply(variables, x)
  expected = theirs.eval()(torch.tensor(x.transpose((0, 3, 1, 2)))).detach()
  expected = expected.numpy().transpose((0, 2, 3, 1))
  chex.assert_trees_all_close(y, expected, rtol=1e-4, atol=1e-5)


def test_batch_norm_in_bfloat16_keeps_its_statistics_in_float32():
  x = jnp.bfloat16(np.random.default_rng(0).normal(size=(4, 8, 8, 3)))
  norm = batch_norm.BatchNorm(train=True, dtype=jnp.bfloat16)
  variables = jax.jit(norm.init)(jax.random.key(0), x)
  y, state = jax.jit(functools.partial(norm.apply, mutable=['batch_stats']))(
    variables, x
  )
  assert y.dtype == jnp.bfloat16
  chex.assert_type(jax.tree.leaves((variables, state)), jnp.float32)


@pytest.mark.parametrize('stride', [1, 2])
def test_a_product_has_no_sliced_operand(stride):
  # XLA's compiler for GPUs dies on one (openxla/xla issue 47381).
  rng = np.random.default_rng(0)
  x = rng.normal(size=(2, 6, 6, 3)).astype(np.float32)
  conv = convolution.convolution(4, 1, stride)
  variables = conv.init(jax.random.key(0), x)
  y = conv.apply(variables, x)
  kernel = variables['params']['kernel'][0, 0]
  expected = np.einsum('nhwc,cd->nhwd', x[:, ::stride, ::stride], kernel)
  chex.assert_trees_all_close(y, expected, rtol=1e-5, atol=1e-6)
  assert ' slice[' not in str(jax.make_jaxpr(conv.apply)(variables, x))


@pytest.mark.parametrize('stride', [1, 2])
def test_rows_times_a_kernel_are_a_1x1_convolution(stride):
  rng = np.random.default_rng(0)
  channels = convolution.FEW_CHANNELS + 1
  x = rng.normal(size=(2, 5, 4, channels)).astype(np.float32)
  kernel = rng.normal(size=(1, 1, channels, 3)).astype(np.float32)
  conv = convolution.convolution(3, 1, stride)

  def ours(x, kernel):
    return conv.apply({'params': {'kernel': kernel}}, x)

  def with_gradients(x, kernel):
    y, pullback = jax.vjp(ours, x, kernel)
    return y, *pullback(jnp.sin(y))

  y, of_x, of_kernel = jax.jit(with_gradients)(x, kernel)
  seen = x[:, ::stride, ::stride]
  expected = np.einsum('nhwc,cd->nhwd', seen, kernel[0, 0])
  gradient = np.zeros_like(x)
  gradient[:, ::stride, ::stride] = np.sin(expected) @ kernel[0, 0].T
  of_weights = np.einsum('nhwc,nhwd->cd', seen, np.sin(expected))
  chex.assert_trees_all_close(
    (y, of_x, of_kernel[0, 0]),
    (expected, gradient, of_weights),
    rtol=1e-4,
    atol=1e-4,
  )
  # A GPU's compiler meets no slice in front of a product there, either.
  traced = jax.jit(ours).trace(x, kernel)
  text = traced.lower(lowering_platforms=('cuda',)).as_text()
  assert 'stablehlo.slice' not in text
  text = traced.lower(lowering_platforms=('cpu',)).as_text()
  assert 'stablehlo.convolution' not in text


@pytest.mark.parametrize(
  ('size', 'stride'),
  [
    ((1, 1), 1),
    ((2, 2), 1),
    ((2, 3), 1),
    ((3, 3), 2),
    ((4, 4), 2),
  ],
)
def test_a_kernel_larger_than_the_map_is_a_product(size, stride):
  rng = np.random.default_rng(0)
  x = rng.normal(size=(2, *size, 3)).astype(np.float32)
  conv = convolution.convolution(4, 3, stride)
  kernel = rng.normal(size=(3, 3, 3, 4)).astype(np.float32)

  def ours(x, kernel):
    return conv.apply({'params': {'kernel': kernel}}, x)

  def theirs(x, kernel):
    return jax.lax.conv_general_dilated(
      x,
      kernel,
      (stride, stride),
      ((1, 1), (1, 1)),
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )

  def with_gradients(x, kernel):
    return [
      (y, pullback(jnp.sin(y)))
      for y, pullback in (jax.vjp(f, x, kernel) for f in (ours, theirs))
    ]

  traced = jax.jit(with_gradients).trace(x, kernel)
  found, expected = traced.lower().compile()(x, kernel)
  chex.assert_trees_all_close(found, expected, rtol=1e-5, atol=1e-5)
  # Ours has no convolution on a CPU, and stays one on a TPU.
  lowered = jax.jit(ours).trace(x, kernel)
  for platform, number in (('cpu', 0), ('tpu', 1)):
    text = lowered.lower(lowering_platforms=(platform,)).as_text()
    assert text.count('stablehlo.convolution') == number


def convolved_by_pytorch(x, kernel, stride):
  """The result, and the gradients of its sine: of `x` and of the kernel."""
  image = torch.tensor(x.transpose((0, 3, 1, 2)), requires_grad=True)
  weight = torch.tensor(kernel.transpose((3, 2, 0, 1)), requires_grad=True)
  y = torch.nn.functional.conv2d(
    image, weight, stride=stride, padding=len(kernel) // 2
  )
  y.sin().sum().backward()
  return (
    y.detach().numpy().transpose((0, 2, 3, 1)),
    image.grad.numpy().transpose((0, 2, 3, 1)),
    weight.grad.numpy().transpose((2, 3, 1, 0)),
  )


@pytest.mark.parametrize(
  ('kernel', 'stride', 'dtype', 'tolerance'),
  [
    (3, 1, np.float32, 1e-5),
    (3, 2, np.float32, 1e-5),
    (2, 2, np.float32, 1e-5),
    (3, 2, jnp.bfloat16, 2e-2),
  ],
)
def test_few_inputs_of_a_large_map_are_summed(kernel, stride, dtype, tolerance):
  rng = np.random.default_rng(0)
  side = convolution.SMALL_MAP + 2
  x = jnp.asarray(rng.normal(size=(2, side, side - 3, 3)), dtype)
  conv = convolution.convolution(5, kernel, stride, dtype=dtype)
  weights = rng.normal(size=(kernel, kernel, 3, 5)).astype(np.float32)

  def ours(x, kernel):
    return conv.apply({'params': {'kernel': kernel}}, x)

  def with_gradients(x, kernel):
    y, pullback = jax.vjp(ours, x, kernel)
    return y, *pullback(jnp.cos(y))

  traced = jax.jit(with_gradients).trace(x, weights)
  found = traced.lower().compile()(x, weights)
  expected = convolved_by_pytorch(np.asarray(x, np.float32), weights, stride)
  for one, other in zip(found, expected):
    scale = np.abs(other).max()
    np.testing.assert_allclose(
      np.asarray(one, np.float32), other, rtol=0, atol=tolerance * scale
    )
  # On a CPU none is left, on a TPU nothing else.
  lowered = jax.jit(ours).trace(x, weights)
  for platform, number in (('cpu', 0), ('tpu', 1)):
    text = lowered.lower(lowering_platforms=(platform,)).as_text()
    assert text.count('stablehlo.convolution') == number


def test_a_larger_map_stays_a_convolution():
  # Also one of 3x3, so that the numbers of the quickstart are what they were.
  x = jax.ShapeDtypeStruct((2, 3, 3, 3), np.float32)
  kernel = jax.ShapeDtypeStruct((3, 3, 3, 4), np.float32)
  conv = convolution.convolution(4, 3)
  traced = jax.jit(lambda x, k: conv.apply({'params': {'kernel': k}}, x))
  text = traced.lower(x, kernel).as_text()
  assert text.count('stablehlo.convolution') == 1


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize('kernel, stride, groups', [(1, 1, 1), (3, 2, 6)])
def test_what_a_tpu_convolves_is_what_others_multiply(
  kernel, stride, groups, dtype
):
  rng = np.random.default_rng(0)
  x = jnp.asarray(rng.normal(size=(2, 4, 4, 6)), dtype)
  results, texts = [], []
  for platform in ('tpu', 'cpu', None):
    conv = convolution.convolution(
      6,
      kernel,
      stride,
      groups,
      dtype=dtype,
      conv_general_dilated=convolution.form(platform),
    )
    variables = conv.init(jax.random.key(0), x)
    y, vjp = jax.vjp(conv.apply, variables, x)
    results.append((y, vjp(jnp.cos(y))))
    texts.append(jax.jit(conv.apply).lower(variables, x).as_text())
  tolerance = 1e-5 if dtype == jnp.float32 else 3e-2
  for other in results[1:]:
    chex.assert_trees_all_close(
      results[0], other, rtol=tolerance, atol=tolerance
    )
  assert [t.count('stablehlo.convolution') for t in texts] == [1, 0, 0]
