"""How long a training warms up."""

# With more than LARGE_BATCH times the batch that base_learning_rate is meant
# for, training starts with warm-up (Goyal et al., arXiv 1706.02677, section
# 2.2).
LARGE_BATCH = 8
WARMUP_EPOCHS = 5.0


def epochs(config):
  """The epochs of warm-up: the field, or if it is -1 what suits the batch.

  Args:
    config: a configuration, see `common.py`, or a dict of one, perhaps
      of a run that is older than the field.
  """
  field = config['schedule'].get('warmup_epochs', -1)
  if field != -1:
    return field
  large = config['learning_rate'] > LARGE_BATCH * config['base_learning_rate']
  return min(WARMUP_EPOCHS, config['epochs'] / 10) if large else 0.0
