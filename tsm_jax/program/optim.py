"""The paper's SGD recipe and AdamW, put together from optax.

Momentum is applied to gradient plus decay and the learning rate comes last, as
in the official training, so that a change of the rate acts at once.
"""

import collections

import jax
import optax

from tsm_jax import errors

SCHEDULES = ('step', 'cosine')
KINDS = ('sgd', 'adamw')

# group: (factor of the learning rate, factor of the weight decay). The official
# training gives biases twice the rate and decays neither them nor norms.
GROUPS = {
  'first_weight': (1.0, 1.0),  # of the stem; times 5 for optical flow
  'first_bias': (2.0, 0.0),  # times 5 for optical flow
  'weight': (1.0, 1.0),
  'bias': (2.0, 0.0),
  'norm': (1.0, 0.0),
  'head_weight': (1.0, 1.0),  # times head_scale
  'head_bias': (2.0, 0.0),  # times head_scale
  'frozen': (0.0, 0.0),  # norms of partial BN
}
FLOW_SCALE = 5.0  # the stem for optical flow is new, too


def create_schedule(
  *, kind, learning_rate, steps_per_epoch, epochs, milestones, warmup_epochs
):
  """The learning rate as a function of the step.

  Args:
    kind: 'step' (a tenth at every milestone) or 'cosine' (to 0 at the end).
    learning_rate: the largest, after warm-up.
    steps_per_epoch: may be fractional.
    epochs: of the whole run.
    milestones: epochs, for 'step'.
    warmup_epochs: of linear increase from a hundredth; counted within `epochs`.

  Returns:
    An optax schedule.

  Raises:
    InputError: if `kind` is unknown or the warm-up takes the whole run.
  """
  if kind not in SCHEDULES:
    raise errors.InputError(
      f'schedule.kind is {kind!r}; choose from {SCHEDULES}.'
    )
  if not 0 <= warmup_epochs < epochs:
    raise errors.InputError(
      f'schedule.warmup_epochs is {warmup_epochs}; it must be at least 0 and '
      f'below epochs, which is {epochs}.'
    )
  warmup = round(warmup_epochs * steps_per_epoch)
  total = max(1, round(epochs * steps_per_epoch))
  if kind == 'cosine':
    main = optax.cosine_decay_schedule(learning_rate, max(1, total - warmup))
  else:
    # Milestones that fall on one step count as many times.
    boundaries = collections.Counter(
      round(m * steps_per_epoch) - warmup for m in milestones
    )
    main = optax.piecewise_constant_schedule(
      learning_rate, {step: 0.1**n for step, n in boundaries.items()}
    )
  if not warmup:
    return main
  rise = optax.linear_schedule(learning_rate / 100, learning_rate, warmup)
  return optax.join_schedules([rise, main], [warmup])


def check(optimizer):
  """Raises InputError unless the section `optimizer` names a kind.

  Args:
    optimizer: a mapping with kind and momentum.
  """
  kind, momentum = optimizer['kind'], optimizer['momentum']
  if kind not in KINDS:
    raise errors.InputError(f'optimizer.kind is {kind!r}; choose from {KINDS}.')
  if kind == 'adamw' and momentum >= 1:
    raise errors.InputError(
      f'optimizer.momentum is {momentum}; it must be below 1 with '
      "optimizer.kind='adamw'."
    )


def create_optimizer(params, schedule, optimizer, model):
  """SGD with momentum, or AdamW, and the official parameter groups.

  Args:
    params: the parameter tree (or its shapes).
    schedule: from `create_schedule`.
    optimizer: a mapping with kind ('sgd' or 'adamw'; without it 'sgd'),
      momentum (of 'sgd' that of the gradient including decay, of 'adamw' that
      of the gradient alone, beta1), weight_decay (for convolution and head
      weights; of 'sgd' added to the gradient, of 'adamw' decoupled: added to
      the update, before the rate), clip_norm (largest norm of the whole
      gradient; 0 does not clip) and head_scale (further factor of the head's
      learning rate: 5 for a new head on a pretrained network, 1 from scratch).
    model: a mapping with modality (the stem of 'flow' learns five times as
      fast) and partial_bn (freezes norms, see `parameter_groups`).

  Returns:
    An optax gradient transformation.
  """
  groups = parameter_groups(params, model['partial_bn'])
  decayed = jax.tree.map(lambda group: GROUPS[group][1] > 0, groups)
  frozen = jax.tree.map(lambda group: group == 'frozen', groups)
  scales = {
    'head': optimizer['head_scale'],
    'first': FLOW_SCALE if model['modality'] == 'flow' else 1.0,
  }
  factors = {
    group: optax.scale(lr * scales.get(group.partition('_')[0], 1.0))
    for group, (lr, _) in GROUPS.items()
  }
  clip_norm = optimizer['clip_norm']
  decay = optax.add_decayed_weights(optimizer['weight_decay'], decayed)
  if optimizer.get('kind', 'sgd') == 'adamw':
    rule = optax.scale_by_adam(b1=optimizer['momentum']), decay
  else:
    rule = decay, optax.trace(optimizer['momentum'])
  return optax.chain(
    # First of all, so that what is frozen has no part in the norm.
    optax.masked(optax.set_to_zero(), frozen),
    optax.clip_by_global_norm(clip_norm) if clip_norm else optax.identity(),
    *rule,
    optax.partition(factors, groups),
    optax.scale_by_learning_rate(schedule),
  )


def parameter_groups(params, partial_bn=False):
  """The tree of `params` with the name of its group at every leaf.

  With `partial_bn`, all norms are 'frozen' but the first and those of non-local
  blocks. The official code leaves the latter out of its optimiser although
  their scale is 0 at the start, so that its non-local blocks never contribute.
  """

  stem = 'stem_' if 'stem_conv1' in params else ''  # a deep one

  def group(path, _):
    *modules, leaf = (key.key for key in path)
    siblings = params
    for module in modules:
      siblings = siblings[module]
    if 'scale' in siblings:
      trained = modules == [f'{stem}bn1'] or modules[0].endswith('_nl')
      return 'frozen' if partial_bn and not trained else 'norm'
    kind = 'weight' if leaf == 'kernel' else 'bias'
    place = {f'{stem}conv1': 'first_', 'head': 'head_'}.get(modules[0], '')
    return place + kind

  return jax.tree_util.tree_map_with_path(group, params)
