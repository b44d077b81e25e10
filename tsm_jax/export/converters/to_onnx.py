"""Turns a graph into a file of ONNX.

PYTHON -I to_onnx.py FOLDER: see `tsm_jax.export.converters`.
"""

import json
import os
import pathlib
import site
import sys


def main(folder):
  job = json.loads((folder / 'job.json').read_text())
  find(job['package'], job['paths'])
  # Only the CPU is needed, and plugins for others may complain.
  os.environ['JAX_PLATFORMS'] = 'cpu'
  sys.path.insert(0, str(pathlib.Path(__file__).parent))
  import onnx
  import onnx_bytes
  import onnx_graphs

  model = onnx_graphs.simplified(_convert(job, folder))
  if job['precision'] == 'float16':
    onnx_graphs.halve(model)
  elif job['precision'] == 'int8':
    model = onnx_bytes.quantised(model, job['inputs'], folder)
  onnx.save(model, folder / 'model')


def find(package, paths):
  """Lets this process import what the one that started it can.

  Args:
    package: the folder of the tsm_jax that is exported from, which may not be
      the one that is installed.
    paths: of all other packages; those of this environment come first.
  """
  for path in paths:
    site.addsitedir(path)
  sys.path.insert(0, package)
  import tsm_jax  # noqa: F401 (from now on, it is this one)

  sys.path.pop(0)


def _convert(job, folder):
  import jax
  from jax import export
  from jax.extend import core
  import jax2onnx

  graph = _graph(job, folder)
  (batch,) = export.symbolic_shape('batch')
  shapes = graph.shapes(batch)
  # Traced before jax2onnx puts its own functions into the place of Flax's,
  # which do not take all of their arguments.
  traced = core.jaxpr_as_fun(jax.make_jaxpr(graph.function)(*shapes))
  return jax2onnx.to_onnx(
    lambda *inputs: tuple(traced(*inputs)),
    shapes,
    model_name='tsm_jax',
    input_names=job['inputs'],
    output_names=job['outputs'],
  )


def _graph(job, folder):
  from flax import traverse_util
  import ml_collections
  import numpy as np

  from tsm_jax import checkpoints
  from tsm_jax.data.input import preprocess
  from tsm_jax.export import graph

  with np.load(folder / 'variables.npz') as arrays:
    variables = traverse_util.unflatten_dict(dict(arrays), sep='/')
  fields = job['preprocessing']
  for name in ('mean', 'std'):
    fields[name] = tuple(fields[name])
  trained = checkpoints.TrainedModel(
    ml_collections.ConfigDict(job['config']),
    variables,
    labels=[],
    preprocessing=preprocess.Preprocessing(**fields),
    meta={},
    step=0,
  )
  return graph.create(trained, job['what'], job['batch'], job['together'])


if __name__ == '__main__':
  main(pathlib.Path(sys.argv[1]))
