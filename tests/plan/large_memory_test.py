"""What moves between the large memory of a TPU and what computes."""

import json
import os
import subprocess
import sys

import pytest

from support import helpers, planning
from tsm_jax.plan import large_memory

# Shapes and spelling as in programs compiled for TPUs. A tile has 8 rows of 128
# numbers, so that 3 frames of 64 channels are 8 of 128.
PADDED = 'bf16[4,2,3,64]{3,2,1,0:T(8,128)(2,1)}'
FAST = 'bf16[4,2,3,64]{3,2,1,0:T(8,128)(2,1)S(1)}'
HALF = 'bf16[2,2,3,64]{3,2,1,0:T(8,128)(2,1)S(1)}'
SIZE = 4 * 2 * 8 * 128 * 2
PROGRAM = f"""HloModule jit_step, is_scheduled=true

%fused (p: bf16[4,2,3,64]) -> bf16[4,2,3,64] {{
  %p = {PADDED} parameter(0)
  ROOT %negate = {PADDED} negate(%p)
}}

%body (s: f32[16]) -> f32[16] {{
  %s = f32[16]{{0:T(256)}} parameter(0)
  ROOT %more = f32[16]{{0:T(256)}} add(%s, %s)
}}

ENTRY %main (a: bf16[4,2,3,64], b: f32[16]) -> bf16[4,2,3,64] {{
  %a = {PADDED} parameter(0)
  %b = f32[16]{{0:T(256)}} parameter(1)
  %copy-start = ({FAST}, {PADDED}, u32[]{{:S(2)}}) copy-start(%a)
  %copy-done = {FAST} copy-done(%copy-start)
  %fusion = {FAST} fusion(%copy-done, %a), kind=kLoop, calls=%fused
  %out-start = ({PADDED}, {FAST}, u32[]{{:S(2)}}) copy-start(%fusion)
  %out = {PADDED} copy-done(%out-start)
  %slice-start = (({PADDED}), {HALF}, s32[]{{:S(2)}}) slice-start(%out)
  %slice-done = {HALF} slice-done(%slice-start)
  %slice-start.1 = (({PADDED}), {HALF}, s32[]{{:S(2)}}) slice-start(%out)
  %slice-done.1 = {HALF} slice-done(%slice-start.1)
  %custom-call = {FAST} custom-call(%slice-done, %slice-done.1), custom_call_target="ConcatBitcast"
  %while = f32[16]{{0:T(256)}} while(%b), condition=%fused, body=%body
  ROOT %last = {PADDED} fusion(%custom-call), kind=kLoop, calls=%fused
}}
"""  # noqa: E501

# For one v5e chip: a sum, and the forward pass of two blocks of a network.
COMPILE = """
import json
from tsm_jax.plan import topology
topology.prepare()
import jax
from support import traffic
from tsm_jax.plan import large_memory
device = topology.devices(topology.parse('v5e:1x1'))[0]
place = jax.sharding.SingleDeviceSharding(device)
shape = jax.ShapeDtypeStruct((64, 28, 28, 3), 'bfloat16', sharding=place)
both = jax.jit(lambda x, y: x + y).lower(shape, shape).compile()
blocks = traffic.compile_blocks('inference', 'auto', device)
found = []
for compiled in (both, blocks):
  memory = compiled.memory_analysis()
  found.append([
    memory.argument_size_in_bytes,
    memory.output_size_in_bytes,
    large_memory.traffic(compiled.as_text()),
    compiled.cost_analysis()['bytes accessed'],
  ])
print(json.dumps(found))
"""


def test_what_moves_is_counted_once():
  copied_in, copied_out, in_slices = SIZE, SIZE, SIZE
  whole, written = SIZE, SIZE
  expected = copied_in + whole + copied_out + in_slices + written
  loop = 3 * 256 * 4  # two operands and a result, once
  assert large_memory.traffic(PROGRAM) == expected + loop
  # In the fast memory, nothing moves.
  assert large_memory.traffic(PROGRAM.replace(PADDED, FAST)) == loop


def _compiled(**environment):
  done = subprocess.run(  # libtpu stays in a process that has loaded it
    [sys.executable, '-c', COMPILE],
    capture_output=True,
    text=True,
    cwd=helpers.ROOT,
    env={
      **os.environ,
      'PYTHONPATH': f'{helpers.ROOT}{os.pathsep}{helpers.ROOT / "tests"}',
      **environment,
    },
  )
  assert done.returncode == 0, done.stderr
  return json.loads(done.stdout)


@planning.needs_libtpu
def test_without_effort_all_moves_and_xla_counts_the_same():
  both, blocks = _compiled(**planning.LESS_EFFORT)
  for taken, given, moved, by_xla in (both, blocks):
    assert moved == pytest.approx(by_xla, rel=1e-4)
    assert moved >= taken + given
  taken, given, moved, _ = both
  assert moved == taken + given  # tiles of 128 numbers for 3 channels


@planning.needs_libtpu
def test_with_the_usual_effort_only_what_goes_in_and_out_moves():
  """All that is between two blocks of a forward pass fits the fast memory."""
  _, (taken, given, moved, by_xla) = _compiled()
  features = 64 * 28**2 * 128 * 2  # 64 channels take as much as 128
  # 256 channels, and what BatchNorm keeps
  assert given == pytest.approx(2 * features, rel=1e-3)
  weights = taken - features
  # Two readers: the branch of the first block, and its identity.
  assert moved == pytest.approx(2 * features + weights + given, rel=0.005)
  assert by_xla > 5 * moved
