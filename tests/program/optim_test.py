import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from support import helpers
from tsm_jax import errors, models, program, sharding
from tsm_jax.configs import common, warm_up
from tsm_jax.plan import forecast
from tsm_jax.program import optim

MODEL = {**models.DEFAULTS, 'num_classes': 174}


def schedule(**changes):
  kwargs = {
    'kind': 'step',
    'learning_rate': 0.02,
    'steps_per_epoch': 10.0,
    'epochs': 50.0,
    'milestones': (20.0, 40.0),
    'warmup_epochs': 0.0,
  }
  return optim.create_schedule(**{**kwargs, **changes})


@pytest.mark.parametrize(
  ('changes', 'expected'),
  [
    # The official counts: 1 first and 52 other convolutions, 106 tensors of
    # batch norms, a new head.
    ({}, {'first_weight': 1, 'weight': 52, 'norm': 106}),
    (
      {'modality': 'flow'},
      {'first_weight': 1, 'weight': 52, 'norm': 106},
    ),
    (
      {'partial_bn': True},
      {'first_weight': 1, 'weight': 52, 'norm': 2, 'frozen': 104},
    ),
    # Five non-local blocks of four products with a bias and a norm each.
    (
      {'non_local': True},
      {'first_weight': 1, 'weight': 72, 'bias': 20, 'norm': 116},
    ),
    (
      {'non_local': True, 'partial_bn': True},
      {
        'first_weight': 1,
        'weight': 72,
        'bias': 20,
        'norm': 12,
        'frozen': 104,
      },
    ),
    # 17 blocks of which one has no expansion, the stem and the last product.
    (
      {'name': 'mobilenet_v2'},
      {'first_weight': 1, 'weight': 51, 'norm': 104},
    ),
    # The convolutions of BNInception have a bias.
    (
      {'name': 'bn_inception', 'shift': 'block', 'partial_bn': True},
      {
        'first_weight': 1,
        'first_bias': 1,
        'weight': 68,
        'bias': 68,
        'norm': 2,
        'frozen': 136,
      },
    ),
  ],
)
def test_every_parameter_is_in_one_group(changes, expected):
  config = {**MODEL, **changes}
  model = models.create_model(config)
  channels = 10 if config['modality'] == 'flow' else 3
  frames = jax.ShapeDtypeStruct((1, 8, 64, 64, channels), np.float32)
  params = jax.eval_shape(model.init, jax.random.key(0), frames)['params']
  tree = optim.parameter_groups(params, config['partial_bn'])
  assert jax.tree.structure(tree) == jax.tree.structure(params)
  groups = jax.tree.leaves(tree)
  found = {g: groups.count(g) for g in set(groups)}
  assert found == {**expected, 'head_weight': 1, 'head_bias': 1}
  assert found.keys() <= optim.GROUPS.keys()


def test_two_steps_equal_the_rule_by_hand():
  # v <- 0.9 v + (g + wd p), p <- p - lr v; biases twice the rate without decay,
  # norms without decay, the head five times.
  params = {
    'conv1': {'kernel': jnp.array([1.0, -2.0])},
    'bn1': {'scale': jnp.array([1.0]), 'bias': jnp.array([0.5])},
    'fc1': {'kernel': jnp.array([3.0]), 'bias': jnp.array([0.5])},
    'head': {'kernel': jnp.array([2.0]), 'bias': jnp.array([1.0])},
  }
  gradients = jax.tree.map(lambda p: 0.1 * jnp.ones_like(p), params)
  tx = optim.create_optimizer(
    params,
    optax.constant_schedule(0.5),
    {
      'momentum': 0.9,
      'weight_decay': 0.01,
      'clip_norm': 0.0,
      'head_scale': 5.0,
    },
    models.DEFAULTS,
  )
  factors = {
    'conv1': {'kernel': (1, 1)},
    'bn1': {'scale': (1, 0), 'bias': (1, 0)},
    'fc1': {'kernel': (1, 1), 'bias': (2, 0)},
    'head': {'kernel': (5, 1), 'bias': (10, 0)},
  }
  expected = jax.tree.map(np.asarray, params)
  velocity = jax.tree.map(np.zeros_like, expected)
  state, update = tx.init(params), jax.jit(tx.update)
  for _ in range(2):
    updates, state = update(gradients, state, params)
    params = optax.apply_updates(params, updates)
    for module, leaves in factors.items():
      for leaf, (rate, decay) in leaves.items():
        p = expected[module][leaf]
        v = 0.9 * velocity[module][leaf] + 0.1 + decay * 0.01 * p
        velocity[module][leaf] = v
        expected[module][leaf] = p - 0.5 * rate * v
  chex.assert_trees_all_close(params, expected, rtol=1e-6)


def test_three_steps_of_adamw_equal_the_rule_by_hand():
  # m <- 0.8 m + 0.2 g, v <- 0.999 v + 0.001 g^2, both divided by one minus the
  # power of their factor; p <- p - lr (m / (sqrt v + 1e-8) + wd p). Groups have
  # the rates and decays of SGD; frozen norms stay.
  params = {
    'conv1': {'kernel': jnp.array([1.0, -2.0])},
    'bn1': {'scale': jnp.array([1.0]), 'bias': jnp.array([0.5])},
    'layer': {
      'bn1': {'scale': jnp.array([1.5]), 'bias': jnp.array([0.5])},
      'fc1': {'kernel': jnp.array([3.0]), 'bias': jnp.array([0.5])},
    },
    'head': {'kernel': jnp.array([2.0]), 'bias': jnp.array([1.0])},
  }
  rules = {
    'conv1': {'kernel': (1, 1)},
    'bn1': {'scale': (1, 0), 'bias': (1, 0)},
    'layer': {
      'bn1': {'scale': (0, 0), 'bias': (0, 0)},
      'fc1': {'kernel': (1, 1), 'bias': (2, 0)},
    },
    'head': {'kernel': (5, 1), 'bias': (10, 0)},
  }
  fields = {'kind': 'adamw', 'momentum': 0.8, 'weight_decay': 0.01}
  fields.update(clip_norm=0.0, head_scale=5.0)
  model = {**models.DEFAULTS, 'partial_bn': True}
  tx = optim.create_optimizer(
    params, optax.constant_schedule(0.5), fields, model
  )
  expected = {path: np.asarray(p, float) for path, p in flatten(params).items()}
  state, update = tx.init(params), jax.jit(tx.update)
  m = dict.fromkeys(expected, 0.0)
  v = dict.fromkeys(expected, 0.0)
  for step in (1, 2, 3):
    gradients = jax.tree.map(lambda p, step=step: 0.1 * step - p, params)
    for path, (rate, decay) in flatten(rules).items():
      p = expected[path]
      g = 0.1 * step - p
      m[path] = 0.8 * m[path] + 0.2 * g
      v[path] = 0.999 * v[path] + 0.001 * g**2
      move = m[path] / (1 - 0.8**step)
      move /= np.sqrt(v[path] / (1 - 0.999**step)) + 1e-8
      expected[path] = p - 0.5 * rate * (move + decay * 0.01 * p)
    updates, state = update(gradients, state, params)
    params = optax.apply_updates(params, updates)
  for path, found in flatten(params).items():
    np.testing.assert_allclose(found, expected[path], rtol=1e-4, err_msg=path)


def flatten(tree):
  """The leaves of a tree of dicts by their paths."""
  return {
    f'{name}/{path}'.rstrip('/'): leaf
    for name, value in tree.items()
    for path, leaf in (
      flatten(value) if isinstance(value, dict) else {'': value}
    ).items()
  }


def test_moments_of_adamw_are_split_and_counted():
  """As the momentum is: for fsdp, and for the forecast of a plan."""
  mesh = sharding.create_mesh(jax.devices()[:8])
  held = {}
  for kind in optim.KINDS:
    config = helpers.tiny_config('', '', optimizer__kind=kind, fsdp=True)
    built = program.build(config, mesh, 4, 160)
    state = built.arguments[0]
    params = forecast.shard_bytes(state.params)
    whole = sum(4 * x.size for x in jax.tree.leaves(state.params))
    assert params < whole / 4
    held[kind] = forecast.shard_bytes(state.opt_state) - 4  # of the schedule
  assert held == {'sgd': params, 'adamw': 2 * params + 4}  # counts, too


def test_the_state_of_sgd_is_that_of_earlier_versions():
  # From which their checkpoints continue.
  params = {'fc1': {'kernel': jnp.ones(2)}}
  fields = dict(common.get_config('').optimizer)
  schedule = optax.constant_schedule(1.0)
  tx = optim.create_optimizer(params, schedule, fields, models.DEFAULTS)
  del fields['kind']
  older = optim.create_optimizer(params, schedule, fields, models.DEFAULTS)
  assert str(tx.init(params)) == str(older.init(params))
  assert [type(part).__name__ for part in tx.init(params)] == [
    'MaskedState',
    'EmptyState',
    'MaskedState',
    'TraceState',
    'PartitionState',
    'ScaleByScheduleState',
  ]


def test_the_gradient_is_clipped_by_the_norm_of_the_whole():
  params = {'conv1': {'kernel': jnp.zeros(2)}, 'fc': {'kernel': jnp.zeros(1)}}
  gradients = {
    'conv1': {'kernel': jnp.array([20.0, 40.0])},
    'fc': {'kernel': jnp.array([40.0])},
  }  # norm 60
  tx = optim.create_optimizer(
    params,
    optax.constant_schedule(1.0),
    {
      'momentum': 0.9,
      'weight_decay': 0.0,
      'clip_norm': 20.0,
      'head_scale': 1.0,
    },
    models.DEFAULTS,
  )
  updates, _ = jax.jit(tx.update)(gradients, tx.init(params), params)
  chex.assert_trees_all_close(
    updates, jax.tree.map(lambda g: -g / 3, gradients), rtol=1e-5
  )


def test_step_schedule():
  rate = schedule()
  for epoch, expected in ((0, 0.02), (19, 0.02), (20, 0.002), (40, 0.0002)):
    np.testing.assert_allclose(rate(10 * epoch), expected, rtol=1e-6)


def test_milestones_on_one_step_count_as_many_times():
  # As in PyTorch's MultiStepLR.
  rate = schedule(milestones=(20.0, 20.01, 40.0))
  np.testing.assert_allclose(
    [rate(199), rate(200), rate(400)], [0.02, 0.0002, 0.00002], rtol=1e-5
  )


def test_cosine_schedule():
  rate = schedule(kind='cosine')
  np.testing.assert_allclose(rate(250), 0.01, rtol=1e-6)
  # The official schedule at epoch 49 of 50.
  np.testing.assert_allclose(rate(490), 1.97e-5, rtol=2e-3)
  assert rate(500) == 0


@pytest.mark.parametrize('kind', optim.SCHEDULES)
def test_warm_up_is_linear_and_moves_nothing_after_it(kind):
  rate = schedule(kind=kind, warmup_epochs=5.0)
  np.testing.assert_allclose(
    [rate(0), rate(25), rate(50)], [0.0002, 0.0101, 0.02], rtol=1e-5
  )
  if kind == 'step':
    np.testing.assert_allclose([rate(199), rate(200)], [0.02, 0.002], rtol=1e-5)
  else:
    np.testing.assert_allclose(rate(275), 0.01, rtol=1e-5)


def test_impossible_schedules_are_named():
  with pytest.raises(errors.InputError, match=r"'linear'.*'step', 'cosine'"):
    schedule(kind='linear')
  with pytest.raises(errors.InputError, match='warmup_epochs is 60'):
    schedule(warmup_epochs=60)


@pytest.mark.parametrize(
  ('batch', 'epochs', 'field', 'expected'),
  [
    (64, 100.0, -1.0, 0.0),
    (1024, 100.0, -1.0, 0.0),  # eight times the batch of the rate
    (1152, 100.0, -1.0, 5.0),
    (12288, 20.0, -1.0, 2.0),  # a tenth of a short run
    (12288, 100.0, 0.0, 0.0),
    (64, 100.0, 3.0, 3.0),
  ],
)
def test_warm_up_follows_the_batch(batch, epochs, field, expected):
  config = common.get_config('a')
  config.update(batch_size=batch, epochs=epochs)
  config.schedule.warmup_epochs = field
  assert warm_up.epochs(config) == expected
