"""A graph as a file of LiteRT or ONNX, by a converter in its own environment.

The scripts beside this file run there. They find the graph in a folder of
files that hold data only: JSON, StableHLO as text, arrays.
"""

import dataclasses
import json
import pathlib
import sys
import tempfile

from flax import traverse_util
import numpy as np

import tsm_jax
from tsm_jax import errors
from tsm_jax.export import environments, lowering, process
from tsm_jax.export import graph as graphs

_NAMES = {'litert': 'LiteRT', 'onnx': 'ONNX'}
# Outputs of the first convolution of 8 bits at once, see `entry.of_pixels`.
# onnxruntime has its fast kernels for 4, 8, 12, ... channels only.
_TOGETHER = {'litert': 1, 'onnx': 2}
RESULT = 'model'  # what a script leaves in the folder


def check(format, precision, model):
  """Raises InputError for what a converter is known not to do.

  Args:
    format: see `convert`.
    precision: see `convert`.
    model: the configuration of the network, with `name`.
  """
  # The quantiser looks for ranges of the sums inside of its pools.
  if (format, precision, model.name) == ('litert', 'int8', 'bn_inception'):
    raise errors.InputError(
      f'model.name is {model.name!r}, which the quantiser of LiteRT cannot '
      'convert; choose --format onnx, or --precision float32 or float16.'
    )


def convert(
  format, graph, path, precision='float32', calibration=None, **environment
):
  """Writes a graph as a file for another runtime.

  Args:
    format: 'litert' (of a batch that is a number) or 'onnx'.
    graph: a `graph.Graph` from `graph.create`.
    path: of the file.
    precision: 'float32'; 'float16': the weights take half the bytes and are
      computed with in float32; or 'int8': weights, per channel, and features
      have 8 bits. Inputs and outputs are the graph's in all of them, and the
      softmax is float.
    calibration: with 'int8', an iterable of real inputs, each a list of arrays
      in the order of `graph.inputs`.
    **environment: python and log of `environments.find`.

  Returns:
    A dict from the packages that made the file to their versions.

  Raises:
    InputError: if there is no environment for it, or the converter fails.
  """
  log = environment.get('log', print)
  found = environments.find(format, **environment)
  together = _TOGETHER[format] if precision == 'int8' else 0
  if together:
    batch = graph.inputs[0].shape[0]
    by_products = format == 'litert'  # onnxruntime copies rows faster
    graph = graphs.create(
      graph.trained, graph.what, batch, together, by_products
    )
  with tempfile.TemporaryDirectory(prefix='tsm_jax_export_') as folder:
    folder = pathlib.Path(folder)
    job = {'precision': precision, 'together': together}
    for name in ('inputs', 'outputs'):
      job[name] = [x.name for x in getattr(graph, name)]
    job['caches'] = graph.caches
    job |= {'litert': _text, 'onnx': _model}[format](graph, folder)
    for number, arrays in enumerate(calibration or ()):
      np.savez(folder / f'sample{number:05}.npz', *arrays)
    (folder / 'job.json').write_text(json.dumps(job))
    log(f'Converting to {_NAMES[format]} ...')
    script = environments.FOLDER / f'to_{format}.py'
    status, last = process.run(found.python, [script, folder], cwd=folder)
    if status or not (folder / RESULT).is_file():
      raise errors.InputError(
        f'The converter for {format} ({found.python}) failed with status '
        f'{status}: {last or "it printed nothing"}'
      )
    pathlib.Path(path).write_bytes((folder / RESULT).read_bytes())
  return found.versions


def _text(graph, folder):
  """Leaves a graph as the text of its program."""
  (folder / 'graph.mlir').write_text(lowering.stablehlo_text(graph))
  return {}


def _model(graph, folder):
  """Leaves what a graph is created of: it is traced once more over there."""
  trained = graph.trained
  variables = traverse_util.flatten_dict(trained.variables, sep='/')
  np.savez(folder / 'variables.npz', **variables)
  return {
    'what': graph.what,
    'batch': graph.inputs[0].shape[0],
    'config': trained.config.to_dict(),
    'preprocessing': dataclasses.asdict(trained.preprocessing),
    'package': str(pathlib.Path(tsm_jax.__file__).parents[1]),
    'paths': [
      x for x in sys.path if x.endswith(('site-packages', 'dist-packages'))
    ],
  }
