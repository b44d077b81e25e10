"""The scores of several models as one."""

import numpy as np

MEANS = {
  'softmax': 'the softmax of its mean logits over the views',
  'logits': 'its mean logits over the views',
}


def combine(logits, weights, mean):
  """The scores of an ensemble.

  With weights `w_m` that add up to 1, 'logits' is `sum_m w_m x_m` and 'softmax'
  is `log(sum_m w_m softmax(x_m))`.

  >>> logits = [[[4.0, 0.0]], [[0.0, 1.0]]]  # two models, one clip, two classes
  >>> combine(logits, [0.25, 0.75], 'logits').tolist()
  [[1.0, 0.75]]

  Args:
    logits: a list with `[N, K]` of each model.
    weights: a list with a number for each model.
    mean: 'logits' or 'softmax'.

  Returns:
    float64 `[N, K]`; its softmax is the probability of each class.
  """
  logits = [np.asarray(x, np.float64) for x in logits]
  if mean == 'logits':
    return sum(w * x for w, x in zip(weights, logits))
  shifted = [x - x.max(axis=1, keepdims=True) for x in logits]
  exps = [np.exp(x) for x in shifted]
  total = sum(
    w * e / e.sum(axis=1, keepdims=True) for w, e in zip(weights, exps)
  )
  return np.log(np.maximum(total, np.finfo(np.float64).tiny))
