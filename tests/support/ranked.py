"""Average precision, computed plainly."""


def average_precision(scores, positive):
  """Average precision by its definition, threshold by threshold."""
  total, before = 0.0, 0.0
  for threshold in sorted(set(scores), reverse=True):
    taken = [y for s, y in zip(scores, positive) if s >= threshold]
    recall = sum(taken) / sum(positive)
    total += (recall - before) * sum(taken) / len(taken)
    before = recall
  return total
