"""An exported model in its own runtime: arrays by name, in and out.

This file travels with an export and needs nothing but NumPy and the runtime.
"""

import contextlib
import importlib
from importlib import metadata
import os
import pathlib
import sys

import numpy as np

from tsm_jax import errors

# Of each format: its file, the package that runs it, and the module of that.
FORMATS = {
  'litert': ('model.tflite', 'ai-edge-litert', 'ai_edge_litert.interpreter'),
  'onnx': ('model.onnx', 'onnxruntime', 'onnxruntime'),
  'stablehlo': ('model.stablehlo', 'jax', 'jax.export'),
}


def version(format):
  """The version of a format's runtime that is installed, or ''."""
  try:
    return metadata.version(FORMATS[format][1])
  except metadata.PackageNotFoundError:
    return ''


def other_version(card):
  """A sentence if the runtime is not of the version that was proven, or ''."""
  package = FORMATS[card['format']][1]
  proven, here = card['versions'].get(package, ''), version(card['format'])
  if not here or not proven or here == proven:
    return ''
  return (
    f'The model was proven in {package} {proven}, and runs in {here} here; '
    'python -m tsm_jax.export verify tells whether it answers the same.'
  )


def open(folder, card, threads=None):
  """Opens an exported model.

  Args:
    folder: of the export.
    card: what its card.json says: format, inputs and outputs count.
    threads: that compute, or None for as many as the runtime likes.

  Returns:
    A function that maps a dict of arrays by the names of inputs to a dict of
    arrays by the names of outputs.

  Raises:
    InputError: if the runtime is not installed, cannot open the file, or is
      JAX and told a number of threads.
  """
  file, package, name = FORMATS[card['format']]
  path = os.path.join(folder, file)
  try:
    module = importlib.import_module(name)
  except ImportError as error:
    raise errors.InputError(
      f'{path!r} needs the package {package}, which cannot be imported '
      f'({error}); install it by: pip install {package}'
    ) from error
  make = {'litert': _litert, 'onnx': _onnx, 'stablehlo': _stablehlo}
  with _explained(path, package, 'opened'):
    run = make[card['format']](module, path, card, threads)
  check_inputs = _checker(card['inputs'], f'What goes into {path!r}')
  check_outputs = _checker(card['outputs'], f'What comes out of {path!r}')

  def checked(inputs):
    check_inputs(inputs)
    try:
      outputs = run(inputs)
    except Exception as error:  # each runtime has kinds of its own
      raise _explanation(error, path, package, 'run') from error
    check_outputs(outputs)
    return outputs

  return checked


def _checker(tensors, where):
  """`check` of these tensors, quick where all is as it should be.

  A frame of a small network takes a millisecond.
  """
  wanted = {x['name']: (np.dtype(x['dtype']), *x['shape']) for x in tensors}

  def checked(arrays):
    found = {name: (x.dtype, *x.shape) for name, x in arrays.items()}
    if found != wanted:  # or a size is any
      check(tensors, arrays, where)

  return checked


def check(tensors, arrays, where):
  """Raises InputError unless arrays are what a model takes or gives.

  Args:
    tensors: a list of `{name, dtype, shape}`; a size of None is any.
    arrays: a dict of arrays by name.
    where: names the model in the message.
  """
  names = [tensor['name'] for tensor in tensors]
  if set(names) != set(arrays):
    raise errors.InputError(
      f'{where} has the tensors {", ".join(sorted(arrays))}; they must be '
      f'{", ".join(names)}.'
    )
  for tensor in tensors:
    array, shape = arrays[tensor['name']], tuple(tensor['shape'])
    fits = len(shape) == array.ndim and all(
      wanted in (None, size) for wanted, size in zip(shape, array.shape)
    )
    if array.dtype != np.dtype(tensor['dtype']) or not fits:
      sizes = ', '.join('any' if n is None else str(n) for n in shape)
      raise errors.InputError(
        f'{where}: {tensor["name"]} is {array.dtype} {list(array.shape)}; it '
        f'must be {tensor["dtype"]} [{sizes}].'
      )


@contextlib.contextmanager
def _explained(path, package, done):
  """What a runtime says of a file that cannot be `done`, in a sentence."""
  try:
    yield
  except errors.InputError:
    raise
  except Exception as error:
    raise _explanation(error, path, package, done) from error


def _explanation(error, path, package, done):
  """An InputError of what a runtime raised, with the path and the package."""
  said = ' '.join(str(error).split())[:200]
  with contextlib.suppress(metadata.PackageNotFoundError):
    package = f'{package} {metadata.version(package)}'
  return errors.InputError(f'{path!r} cannot be {done} by {package}: {said}')


@contextlib.contextmanager
def _silent():
  """What libraries write on standard error by themselves is dropped."""
  sys.stderr.flush()
  kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
  try:
    os.dup2(nowhere, 2)
    yield
  finally:
    os.dup2(kept, 2)
    os.close(kept)
    os.close(nowhere)


def _litert(module, path, card, threads):
  del card
  interpreter = module.Interpreter(path, num_threads=threads)
  with _silent():  # it tells everybody that it has a delegate
    interpreter.allocate_tensors()
  runner = interpreter.get_signature_runner()
  given, got = (
    {name: detail['index'] for name, detail in details.items()}
    for details in (runner.get_input_details(), runner.get_output_details())
  )
  # It would ask for the size of every input again, each time it runs.
  del runner

  def run(inputs):
    for name, array in inputs.items():
      interpreter.set_tensor(given[name], array)
    interpreter.invoke()
    # Copies, which the next call leaves alone.
    return {name: interpreter.get_tensor(index) for name, index in got.items()}

  return run


def _onnx(module, path, card, threads):
  del card
  options = module.SessionOptions()
  options.log_severity_level = 3  # errors only
  if threads:
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
  session = module.InferenceSession(
    path, options, providers=['CPUExecutionProvider']
  )
  names = [output.name for output in session.get_outputs()]
  return lambda inputs: dict(zip(names, session.run(names, inputs)))


def _stablehlo(module, path, card, threads):
  import jax

  if threads:
    raise errors.InputError(
      f'threads is {threads}, but JAX takes as many as it likes; leave it out '
      'for an export of the format stablehlo.'
    )
  exported = module.deserialize(bytearray(pathlib.Path(path).read_bytes()))
  call = jax.jit(exported.call)
  given, got = (
    [tensor['name'] for tensor in card[kind]] for kind in ('inputs', 'outputs')
  )

  def run(inputs):
    outputs = call(*(inputs[name] for name in given))
    return dict(zip(got, map(np.asarray, outputs)))

  return run
