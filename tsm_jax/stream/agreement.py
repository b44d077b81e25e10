"""Whether a stream gives what the clip gave, and how early it is right."""

import json
from typing import NamedTuple

import jax
import numpy as np

from tsm_jax import errors, files
from tsm_jax.data.input import records
from tsm_jax.models import folding
from tsm_jax.stream import cache

NUM_CLIPS = 256  # that are compared at most, spread evenly over a split
FILE = 'early_recognition.json'
_BATCH = 8  # clips
_VIEWS = records.Views(validation=True)
# What rounding explains, as a share of the largest logit. A ResNet-50 and a
# MobileNetV2 differ by 3e-7 in float32 and by 1e-3 in bfloat16, on a CPU.
_EXACT, _ROUGH = 1e-4, 0.02


class Agreement(NamedTuple):
  """A model on the same clips in one piece and frame by frame.

  Attributes:
    num_clips: clips compared.
    equal: how many have the same top-1 in both.
    difference: the largest of a clip's logits, absolute.
    rounding: the largest difference that rounding explains.
    clip_top1: fraction of the clips that are right in one piece.
    stream_top1: fraction of those that are right frame by frame.
    early: the same after each frame, floats `[T]`, see `running_logits`.
  """

  num_clips: int
  equal: int
  difference: float
  rounding: float
  clip_top1: float
  stream_top1: float
  early: tuple[float, ...]

  def is_exact(self):
    """Whether nothing but rounding tells the stream from the clip."""
    return self.difference <= self.rounding

  def as_dict(self):
    """A dict for JSON; of each frame of `early` also its share of the clip."""
    count = len(self.early)
    early = [
      {'frames': n, 'share': n / count, 'top1': top1}
      for n, top1 in enumerate(self.early, 1)
    ]
    return {**self._asdict(), 'early': early}

  def lines(self):
    """Yields it in words; the first line is a warning if something is wrong."""
    same = (
      f'{self.equal} of {self.num_clips} validation clips have the same top-1 '
      f'frame by frame, logits differ by at most {self.difference:.1e}'
    )
    if not self.is_exact():
      yield (
        'WARNING: the stream is not the clip: '
        f'{same}, where rounding explains {self.rounding:.1e}. Do not use this '
        'model frame by frame before you know why.'
      )
    stream, clip = f'{self.stream_top1:.2%}', f'{self.clip_top1:.2%}'
    sign = '=' if self.equal == self.num_clips else '~'
    yield f'stream top-1 {stream} {sign} clip top-1 {clip}: {same}.'
    count = len(self.early)
    chosen = sorted({-(-count * k // 4) for k in (1, 2, 3, 4)})
    shown = ', '.join(f'{n}: {self.early[n - 1]:.1%}' for n in chosen)
    yield f'Early recognition, top-1 after so many of {count} frames: {shown}.'


def can_stream(model):
  """Whether a model can be run frame by frame, see `cache.init_cache`."""
  try:
    cache.init_cache(model, 1, 64)
  except errors.InputError:
    return False
  return True


def on_host(variables):
  """Variables that all devices hold whole, as arrays of this process.

  Of several processes, one alone can then compute with them.
  """
  return jax.tree.map(lambda x: np.asarray(x.addressable_data(0)), variables)


def running_logits(model, logits):
  """What a stream knows of a clip after each of its frames.

  The mean over the frames so far; those before `consensus_from` count only as
  long as there are no others.

  Args:
    model: a Flax module; its consensus counts.
    logits: of the frames, `[B, T, K]`.

  Returns:
    `[B, T, K]`; the last ones are the logits of the clip.
  """
  first = model.consensus_from - 1 if model.consensus == 'frames' else 0

  def means(x):
    return np.cumsum(x, axis=1) / np.arange(1, x.shape[1] + 1)[:, None]

  logits = np.asarray(logits, np.float64)
  return np.concatenate(
    [means(logits[:, :first]), means(logits[:, first:])], axis=1
  )


def report(workdir, built, variables, source, log):
  """Measures the model of a run that has ended, logs it and writes `FILE`.

  Args:
    workdir: of the run.
    built: its `Program`.
    variables: params and batch_stats of the model, on the host.
    source: the evaluated split, from `Dataset.split`.
    log: called with every line for the user.

  Returns:
    What is written, or None if the model, or what has several labels, cannot.
  """
  model = built.model
  if getattr(source, 'label_shape', ()) or not can_stream(model):
    return None
  try:
    found = measure(model, variables, built.preprocessing, source)
  except jax.errors.JaxRuntimeError as error:  # for example no memory
    first = str(error).partition('\n')[0][:200]
    log(f'The stream could not be compared with the clip: {first}')
    return None
  for line in found.lines():
    log(line)
  content = {'consensus': model.consensus, **found.as_dict()}
  if model.consensus == 'frames':
    content['consensus_from'] = model.consensus_from
  text = json.dumps(content, indent=1, allow_nan=False)
  files.write(files.path(workdir) / FILE, text)
  return content


def measure(model, variables, preprocessing, source, max_clips=NUM_CLIPS):
  """Runs clips of a split in one piece and, as a Session does, by frames.

  On the first device of this process.

  Args:
    model: a Flax module that `can_stream`.
    variables: its params and batch_stats, on the host.
    preprocessing: a `preprocess.Preprocessing`.
    source: the split, from `Dataset.split`.
    max_clips: of the split, that are compared.

  Returns:
    An `Agreement`.
  """
  count = min(max_clips, len(source))
  numbers = np.linspace(0, len(source) - 1, count).astype(int)
  variables = jax.device_put(variables, jax.local_devices()[0])
  in_one_piece, frame_by_frame = _programs(model, variables, preprocessing)
  clips, streams, labels = [], [], []
  for start in range(0, count, _BATCH):
    chosen = numbers[start : start + _BATCH].tolist()
    found = [source[i] for i in chosen]
    labels += [int(record['label']) for record in found]
    frames = np.stack(
      [
        records.eval_views(record, preprocessing, _VIEWS, i)[0]
        for i, record in zip(chosen, found)
      ]
    )  # [B, T, S, S, C]
    # Of one size, so that nothing is compiled for the last ones.
    missing = min(_BATCH, count) - len(chosen)
    padded = np.pad(frames, [(0, missing)] + [(0, 0)] * 4, 'edge')
    clips.append(in_one_piece(padded)[: len(chosen)])
    streams.append(frame_by_frame(padded)[: len(chosen)])
  return compare(
    np.concatenate(clips),
    running_logits(model, np.concatenate(streams)),
    np.array(labels),
    _rounding(model.dtype),
  )


def _programs(model, variables, preprocessing):
  """Functions of uint8 `[B, T, S, S, C]`: to `[B, K]`, and to `[B, T, K]`."""

  @jax.jit
  def clip(variables, frames):
    return model.apply(variables, preprocessing.normalize(frames), train=False)

  shape = preprocessing.clip_shape()
  streamed, applied = folding.prepare(model, variables, shape, in_parts=True)
  streamed = jax.device_put(streamed, jax.local_devices()[0])

  @jax.jit
  def step(variables, state, frames):
    with applied():
      return cache.step(
        model, variables, state, preprocessing.normalize(frames)
      )

  def frame_by_frame(frames):
    state = cache.init_cache(model, len(frames), preprocessing.image_size)
    logits = []
    for t in range(frames.shape[1]):
      each, state = step(streamed, state, frames[:, t])
      logits.append(np.asarray(each))
    return np.stack(logits, axis=1)

  return lambda frames: np.asarray(clip(variables, frames)), frame_by_frame


def _rounding(dtype):
  """The share of a logit that rounding explains.

  Processors other than CPUs multiply in less than float32 by default.
  """
  is_cpu = jax.local_devices()[0].platform == 'cpu'
  return _EXACT if is_cpu and np.dtype(dtype) == np.float32 else _ROUGH


def compare(clip, running, labels, rounding):
  """The `Agreement` of the logits of clips.

  Args:
    clip: in one piece, `[N, K]`.
    running: of the stream after each frame, `[N, T, K]`.
    labels: int `[N]`.
    rounding: what it explains, as a share of the largest logit.
  """
  stream, top1 = running[:, -1], clip.argmax(-1)
  return Agreement(
    num_clips=len(labels),
    equal=int((stream.argmax(-1) == top1).sum()),
    difference=float(abs(stream - clip).max()),
    rounding=float(rounding * abs(clip).max()),
    clip_top1=float((top1 == labels).mean()),
    stream_top1=float((stream.argmax(-1) == labels).mean()),
    early=tuple((running.argmax(-1) == labels[:, None]).mean(axis=0).tolist()),
  )
