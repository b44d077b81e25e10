"""How evenly the clips of the classes are spread over the splits."""


def uneven(counts, labels):
  """Yields `(label, detail)` of every class of which a split has an odd share.

  That is one which differs from the share of all classes by more than half of
  that, and by more than two clips. Where there is training, the others are
  looked at.

  Args:
    counts: clips by split and label.
    labels: class names.
  """
  total = sum(counts.values())
  splits = list(dict.fromkeys(split for split, _ in counts))
  for split in splits:
    if split == 'train' or len(splits) == 1:
      continue
    inside = sum(n for (other, _), n in counts.items() if other == split)
    for label in labels:
      clips = sum(n for (_, other), n in counts.items() if other == label)
      there, due = counts.get((split, label), 0), clips * inside / total
      if abs(there - due) > max(due / 2, 2):
        yield (
          label,
          f'{split} has {there} of {clips} clips ({there / clips:.0%}), and '
          f'{inside / total:.0%} of all classes',
        )


def described(classes):
  """The least and the largest share of a class that is in 'val', as a line.

  Args:
    classes: a dict from label to clips by split.

  Returns:
    A text, '' where nothing is in 'val', or nothing else.

  >>> described({'run': {'train': 6, 'val': 2}, 'hop': {'train': 9, 'val': 1}})
  "val has 17% of all clips; of a class, from 10% ('hop') to 25% ('run')."
  """
  every = {
    label: (counts.get('val', 0), sum(counts.values()))
    for label, counts in classes.items()
    if sum(counts.values())
  }
  held_out, total = (sum(column) for column in zip(*every.values() or [(0, 0)]))
  if not 0 < held_out < total:
    return ''
  shares = {label: inside / clips for label, (inside, clips) in every.items()}
  least, most = min(shares, key=shares.get), max(shares, key=shares.get)
  if f'{shares[least]:.0%}' == f'{shares[most]:.0%}':
    return f'val has {held_out / total:.0%} of all clips and of every class.'
  return (
    f'val has {held_out / total:.0%} of all clips; of a class, from '
    f'{shares[least]:.0%} ({least!r}) to {shares[most]:.0%} ({most!r}).'
  )
