"""What a quantised model is calibrated by: real clips of the training split."""

import jax
import numpy as np

from tsm_jax.export import samples

TRAIN = 'train'


def inputs(trained, graph, clips, count):
  """What a graph takes, of real clips of the training split.

  Args:
    trained: a `checkpoints.TrainedModel`.
    graph: its `graph.Graph`. That of a step is run over the frames of a clip,
      so that its caches hold what they hold in use.
    clips: `samples.Clips`.
    count: of clips, spread evenly over the split.

  Yields:
    Lists of arrays, in the order of `graph.inputs`.

  Raises:
    InputError: if there is no training clip.
  """
  source, how = clips.dataset.split(TRAIN), trained.preprocessing
  numbers = samples.spread(len(source), count)
  batch_size = graph.inputs[0].shape[0] or 1
  run = jax.jit(graph.function)
  for start in range(0, len(numbers), batch_size):
    # The last ones are filled up by repeating them.
    some = (numbers[start : start + batch_size] * batch_size)[:batch_size]
    frames = np.stack([samples.squares(source[n], how, n) for n in some])
    if graph.what == 'clip':
      yield [frames]
    else:
      yield from _follow(run, graph, frames)


def _follow(run, graph, frames):
  """The inputs of the steps over streams uint8 `[B, T, F, F, 3]`."""
  places = {tensor.name: i for i, tensor in enumerate(graph.outputs)}
  taken = dict(graph.caches)  # which output is an input of the next step
  caches = [
    np.zeros((len(frames), *tensor.shape[1:]), tensor.dtype)
    for tensor in graph.inputs[2:]
  ]
  for t in range(frames.shape[1]):
    reset = np.full(len(frames), t == 0).astype(graph.inputs[1].dtype)
    yield [frames[:, t], reset, *caches]
    outputs = run(frames[:, t], reset, *caches)
    caches = [
      np.asarray(outputs[places[taken[tensor.name]]])
      for tensor in graph.inputs[2:]
    ]
