"""Turns a program of StableHLO into a file of LiteRT.

PYTHON -I to_litert.py FOLDER: see `tsm_jax.export.converters`.
"""

import json
import os
import pathlib
import sys

from litert_converter import converter_api_ext as converter
from litert_converter.mlir import ir, passmanager
import numpy as np

SIGNATURE = 'serving_default'
# What is computed with 8 bits: convolutions, and what moves or joins their
# features. The softmax stays float.
OPERATIONS = (
  *('CONV_2D', 'DEPTHWISE_CONV_2D', 'FULLY_CONNECTED', 'BATCH_MATMUL'),
  *('ADD', 'CONCATENATION', 'SLICE', 'STRIDED_SLICE', 'PAD', 'PADV2'),
  *('MEAN', 'SUM', 'MAX_POOL_2D', 'AVERAGE_POOL_2D', 'RESHAPE', 'TRANSPOSE'),
  *('RELU',),
)


def main(folder):
  sys.path.insert(0, str(pathlib.Path(__file__).parent))
  import litert_graphs

  job = json.loads((folder / 'job.json').read_text())
  model = _convert((folder / 'graph.mlir').read_text(), job)
  if job['precision'] == 'float16':
    model = _halve(model)
  elif job['precision'] == 'int8':
    model = _quantise(model, job, folder)
  (folder / 'model').write_bytes(litert_graphs.with_bytes(model))


def _convert(text, job):
  context = ir.Context()
  converter.prepare_mlir_context(context)
  with context:
    module = ir.Module.parse(text)
    converter.set_signature(
      module.operation, SIGNATURE, job['inputs'], job['outputs']
    )
    converter.run_convert_to_tfl_passes(
      module, passmanager.PassManager(), converter.ConvertToTFLConfig()
    )
    return converter.export_flatbuffer_to_bytes(module.operation)


def _halve(model):
  from litert_quantizer import qtyping, quantizer

  weights = qtyping.TensorQuantizationConfig(
    num_bits=16, dtype=qtyping.TensorDataType.FLOAT
  )
  config = qtyping.OpQuantizationConfig(
    weight_tensor_config=weights,
    compute_precision=qtyping.ComputePrecision.FLOAT,
    explicit_dequantize=True,
  )
  made = quantizer.Quantizer(model)
  made.update_quantization_recipe(
    '.*', qtyping.TFLOperationName.ALL_SUPPORTED, config, 'float_casting'
  )
  return _result(made)


def _quantise(model, job, folder):
  import litert_graphs
  from litert_quantizer import calibrator, qtyping, quantizer, recipe_manager

  made = quantizer.Quantizer(model)
  recipe = recipe_manager.RecipeManager()
  for name in OPERATIONS:
    operation = qtyping.TFLOperationName(name)
    for one in (made, recipe):
      one.add_static_config('.*', operation, 8, 8)
  seen = calibrator.Calibrator(model, num_threads=os.cpu_count())
  for path in sorted(folder.glob('sample*.npz')):  # one at a time in memory
    with np.load(path) as arrays:
      sample = dict(zip(job['inputs'], arrays.values()))
    seen.calibrate({SIGNATURE: [sample]}, recipe)
  ranges = seen.get_model_qsvs()
  litert_graphs.tie(model, ranges, job['caches'])
  return _result(made, ranges)


def _result(made, ranges=None):
  done = made.quantize(ranges, enable_progress_report=False)
  return bytes(done.quantized_model)


if __name__ == '__main__':
  main(pathlib.Path(sys.argv[1]))
