import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from support import helpers  # noqa: F401 (finds configs)
from tsm_jax import errors, models
from tsm_jax.configs import common
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
  assert optim.warmup_epochs(config) == expected
