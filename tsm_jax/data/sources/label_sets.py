"""Several labels of one clip: `run|wave` in a list, or an array in JSON."""

from tsm_jax import errors

SEPARATOR = '|'


def joined(labels):
  """Labels as one text: sorted, each once.

  >>> joined(['wave', 'run', 'wave'])
  'run|wave'
  """
  return SEPARATOR.join(sorted(set(labels)))


def apart(items):
  """Items whose labels are apart, see `listings.Item`.

  Args:
    items: `listings.Item`s, whose label may be several with `SEPARATOR`
      between them. A clip without any label stays as it is, and is excluded.

  Returns:
    A list of items.

  Raises:
    InputError: if one of several labels is empty.
  """
  found = []
  for item in items:
    parts = [part.strip() for part in item.label.split(SEPARATOR)]
    if item.label and not all(parts):
      raise errors.InputError(
        f'{item.video_id!r} has the labels {item.label!r}, of which one is '
        f'empty; write each once, with {SEPARATOR!r} between them.'
      )
    if item.label:
      parts = sorted(set(parts))
      item = item._replace(label=joined(parts), labels=tuple(parts))
    found.append(item)
  return found


def labelled(item, facts, labels):
  """The item of a clip, with the name and the label in its record.

  Args:
    item: a `listings.Item`.
    facts: `video_id`, and of `label` the index, or a list of indices.
    labels: class names by index.
  """
  item, label = item._replace(video_id=facts['video_id']), facts['label']
  if isinstance(label, list):
    names = tuple(labels[i] for i in label)
    return item._replace(label=joined(names), labels=names)
  name = labels[label] if 0 <= label < len(labels) else ''
  return item._replace(label=name)


def check_one(items, called):
  """Raises InputError if a list gives several labels, and none asked for them.

  Args:
    items: `listings.Item`s.
    called: how the user calls the field 'multi_label'.
  """
  for item in items:
    if item.labels:
      raise errors.InputError(
        f'{item.video_id!r} has several labels, {", ".join(item.labels)}; set '
        f'{called("multi_label")}=True for clips of several labels.'
      )


def check_names(labels, field):
  """Raises InputError if the name of a class holds the separator."""
  for label in labels:
    if SEPARATOR in label:
      raise errors.InputError(
        f'{field} names the class {label!r}, but between several labels of a '
        f'clip stands {SEPARATOR!r}; rename the class.'
      )


def hint(items, called):
  """Yields a sentence if labels of clips of one label look like several.

  Args:
    items: `listings.Item`s.
    called: how the user calls the field 'multi_label'.
  """
  found = sorted({i.label for i in items if SEPARATOR in i.label.strip('|')})
  if found:
    yield (
      f'{found[0]!r} is one class; if it is several labels of a clip, set '
      f'{called("multi_label")}=True'
    )
