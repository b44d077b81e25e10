"""The published datasets, read from their official distributions."""

import itertools
import pathlib

from tsm_jax import errors
from tsm_jax.data.clips import images, videos
from tsm_jax.data.sources import listings, spelling, split_folders
from tsm_jax.data.sources.drawn import long_motion, motion
from tsm_jax.data.sources.published import (
  annotations,
  frame_lists,
  kinetics,
  small_sets,
  twentybn,
)

READERS = {
  'ssv1': twentybn.ssv1,
  'ssv2': twentybn.ssv2,
  'kinetics400': kinetics.kinetics,
  'kinetics600': kinetics.kinetics,
  'kinetics700': kinetics.kinetics,
  'jester': twentybn.jester,
  'ucf101': small_sets.ucf101,
  'hmdb51': small_sets.hmdb51,
  'diving48': small_sets.diving48,
  'frame_lists': frame_lists.frame_lists,
}

# Where the clips of each are looked for.
PATTERNS = {
  'ssv1': '20bn-something-something-v1/{id}/*.jpg',
  'ssv2': '20bn-something-something-v2/{id}.webm',
  **dict.fromkeys(
    ('kinetics400', 'kinetics600', 'kinetics700'),
    '{youtube_id}_{start}_{end}.mp4 or {youtube_id}.mp4 in any folder',
  ),
  'jester': '20bn-jester-v1/{id}/*.jpg',
  'ucf101': 'UCF-101/{class}/v_*.avi',
  'hmdb51': 'hmdb51_org/{class}/*.avi',
  'diving48': 'rgb/{vid_name}.mp4',
  'frame_lists': 'the folders that the lists name',
}

# What is published: classes, and videos listed in each split. The lists of
# Kinetics differ between its editions, so only those of 400 are held to it.
NUM_LABELS = {
  'ssv1': 174,
  'ssv2': 174,
  'kinetics400': 400,
  'kinetics600': 600,
  'kinetics700': 700,
  'jester': 27,
  'ucf101': 101,
  'hmdb51': 51,
  'diving48': 48,
}
NUM_VIDEOS = {
  'ssv1': {'train': 86017, 'val': 11522, 'test': 10960},
  'ssv2': {'train': 168913, 'val': 24777, 'test': 27157},
  'kinetics400': {'train': 246534, 'val': 19906},
  'jester': {'train': 118562, 'val': 14787, 'test': 14743},
  'diving48': {'train': 15027, 'val': 1970},
}
NUM_VIDEOS_OF_SPLIT = {
  'ucf101': (
    {'train': 9537, 'val': 3783},
    {'train': 9586, 'val': 3734},
    {'train': 9624, 'val': 3696},
  ),
  'hmdb51': ({'train': 3570, 'val': 1530},) * 3,
}
DRAWN = {'motion': motion, 'long_motion': long_motion}


FLOW = 'frame_lists'  # the one that may be of optical flow


def num_train(name):
  """Published training videos of a dataset (of split 1); None if unknown."""
  several = NUM_VIDEOS_OF_SPLIT.get(name, ({},))[0]
  return {**several, **NUM_VIDEOS.get(name, {})}.get('train')


def published(config, name=''):
  """`(classes, training clips)` of a configuration's dataset, as published.

  Args:
    config: a whole configuration; `data.dataset` names its dataset.
    name: another dataset to take instead, or ''.

  Returns:
    Two numbers, each None if it is not published.
  """
  if drawn := DRAWN.get(name or config.data.source):
    return drawn.num_train()
  name = name or config.data.dataset
  return NUM_LABELS.get(name), num_train(name)


def num_classes(config):
  """Of a model without data: the field, else as published, else 1000."""
  return config.model.num_classes or published(config)[0] or 1000


def read(name, manual_dir, split=1, modality='rgb'):
  """What an official distribution holds.

  Args:
    name: a key of `READERS`.
    manual_dir: the folder into which it was unpacked.
    split: where several ways to part a dataset are published, which one.
    modality: 'rgb', or 'flow' of `FLOW`.

  Returns:
    A `listings.Listing`. Its labels are in the official order; its notes say
    where it differs from the published counts.

  Raises:
    InputError: if the name or split is unknown, or lists or videos are not
      where they should be.
  """
  if name not in READERS:
    raise errors.InputError(
      f'NAME is {name!r}; choose from {", ".join((*READERS, "folder"))}.'
    )
  num_splits = len(NUM_VIDEOS_OF_SPLIT.get(name, (1,)))
  if not 1 <= split <= num_splits and name != 'frame_lists':
    choices = f'1 to {num_splits}' if num_splits > 1 else 'only 1'
    raise errors.InputError(f'--split is {split}; {name} has {choices}.')
  if modality != 'rgb' and name != FLOW:
    raise errors.InputError(
      f'--modality is {modality!r}, but {name} is distributed as RGB; flow '
      f"that was extracted is read as NAME {FLOW!r} or 'folder'."
    )
  root = pathlib.Path(manual_dir).expanduser()
  if not root.is_dir():
    raise errors.InputError(
      f'--manual_dir is {str(manual_dir)!r}, but no such folder exists.'
    )
  more = {'modality': modality} if name == FLOW else {}
  found = _composed(READERS[name](root, split, **more))
  _check_names(found.labels, manual_dir)
  notes = [*_differences(name, split, found), *found.notes]
  items = [i for i in found.items if i.label or i.split != 'test']
  if unlabelled := len(found.items) - len(items):
    notes.append(f'{unlabelled} test videos have no label and are left out')
  items = _in_any_container(items, notes)
  items, excluded = listings.usable(items, found.labels)
  if not items:
    some = '; '.join(f'{video} {why}' for video, why in excluded[:3])
    raise errors.InputError(
      f'--manual_dir is {str(manual_dir)!r}, in which no labelled video of '
      f'{name} is found as {PATTERNS[name]}, but {_what_lies_in(root)}'
      + (f': {some}.' if some else '.')
    )
  items.sort(key=lambda item: item.video_id)
  notes += listings.empty_classes(items, found.labels)
  return listings.Listing(
    items, found.labels, excluded, notes, found.fps, modality
  )


def _composed(found):
  """Annotations whose labels are as `spelling.composed` makes them."""
  items = [i._replace(label=spelling.composed(i.label)) for i in found.items]
  labels = [spelling.composed(label) for label in found.labels]
  return found._replace(items=items, labels=labels)


def _in_any_container(items, notes):
  """The items, with videos that have another ending than published found."""
  folders, found = {}, []
  for item in items:
    path = item.path
    if path.suffix.lower() in videos.SUFFIXES:
      if path.parent not in folders:
        folders[path.parent] = annotations.videos_in(path.parent, path.suffix)
      path = folders[path.parent].get(path.stem, path)
    found.append(item._replace(path=path))
  changed = sum(new.path != old.path for new, old in zip(found, items))
  if changed:
    notes.append(f'{changed} videos have another ending than published')
  return found


def _what_lies_in(root):
  """The first clips below a folder, in words."""
  suffixes = (*videos.SUFFIXES, *images.SUFFIXES)
  clips = (
    path.relative_to(root).as_posix()
    for path in split_folders.walk(root)
    if path.suffix.lower() in suffixes
  )
  some = list(itertools.islice(clips, 3))
  return f'{", ".join(some)} ... lie there' if some else 'no video lies there'


def _check_names(labels, manual_dir):
  """Raises InputError unless every label can be the name of a class."""
  for label in labels:
    if problem := listings.problem(label):
      raise errors.InputError(
        f'--manual_dir is {str(manual_dir)!r}, whose lists name the class '
        f'{label!r}; a name that {problem} cannot be used.'
      )
  if len(set(labels)) < len(labels):
    twice = next(label for label in labels if labels.count(label) > 1)
    raise errors.InputError(
      f'--manual_dir is {str(manual_dir)!r}, whose lists name the class '
      f'{twice!r} more than once.'
    )


def _differences(name, split, found):
  """Sentences on where the lists differ from the published counts."""
  expected = NUM_LABELS.get(name)
  if expected not in (None, len(found.labels)):
    yield f'{len(found.labels)} classes, where {expected} are published'
  counts = dict(NUM_VIDEOS.get(name, {}))
  if name in NUM_VIDEOS_OF_SPLIT:
    counts = NUM_VIDEOS_OF_SPLIT[name][split - 1]
  for part, expected in counts.items():
    listed = sum(item.split == part for item in found.items)
    if listed != expected:
      yield f'{listed} {part} videos are listed, where {expected} are published'
