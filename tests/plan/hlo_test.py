import pytest

from tsm_jax.plan import hlo

# The shapes and the spelling are those of programs compiled for TPUs: the parts
# of an asynchronous all-gather under one channel, a reduce-scatter as an
# all-reduce that is sliced, a loop, and the three ways to write groups.
PROGRAM = """HloModule jit_step, is_scheduled=true

%add (x: f32[], y: f32[]) -> f32[] {
  %x = f32[] parameter(0)
  %y = f32[] parameter(1)
  ROOT %sum = f32[] add(%x, %y)
}

%start (p: bf16[2,8]) -> (bf16[2,8], bf16[8,8]) {
  %p = bf16[2,8]{1,0:T(8,128)(2,1)} parameter(0)
  %all-gather.1 = bf16[8,8]{1,0:T(8,128)(2,1)S(1)} all-gather(%p), channel_id=6, replica_groups=mesh['axis_0'=4,'axis_1'=2] {'axis_0'}, dimensions={0}
  ROOT %call.1 = (bf16[2,8]{1,0}, bf16[8,8]{1,0}) custom-call(%all-gather.1)
}

%all-reduce-scatter.clone (q: f32[8,4]) -> f32[1,4] {
  %q = f32[8,4]{1,0} parameter(0)
  %all-reduce.5 = f32[8,4]{1,0:T(8,128)} all-reduce(%q), channel_id=7, replica_groups={{0,1,2,3,4,5,6,7}}, to_apply=%add
  ROOT %slice.1 = f32[1,4]{1,0} dynamic-slice(%all-reduce.5)
}

%nested (r: f32[16]) -> f32[16] {
  %r = f32[16]{0} parameter(0)
  ROOT %all-reduce.9 = f32[16]{0} all-reduce(%r), channel_id=8, replica_groups=[4,2]<=[8], to_apply=%add
}

%body (s: (s32[], f32[16])) -> (s32[], f32[16]) {
  %s = (s32[], f32[16]{0}) parameter(0)
  %fusion.2 = f32[16]{0} fusion(%s), kind=kLoop, calls=%nested
  ROOT %tuple.2 = (s32[], f32[16]{0}) tuple(%s, %fusion.2)
}

ENTRY %main (a: bf16[2,8], b: f32[8,4]) -> f32[16] {
  %a = bf16[2,8]{1,0} parameter(0)
  %b = f32[8,4]{1,0} parameter(1)
  %fusion.1 = (bf16[2,8]{1,0}, bf16[8,8]{1,0}) fusion(%a), kind=kCustom, calls=%start
  %all-gather.2 = bf16[8,8]{1,0} all-gather(%a), channel_id=6, replica_groups=mesh['axis_0'=4,'axis_1'=2] {'axis_0'}, dimensions={0}
  %fusion.3 = f32[1,4]{1,0} fusion(%b), kind=kCustom, calls=%all-reduce-scatter.clone
  %all-reduce.3 = (f32[3]{0:T(256)S(1)}, pred[5]{0}, /*index=2*/f32[]) all-reduce(%b, %b), channel_id=9, to_apply=%add
  %permute = (f32[6]{0}, f32[6]{0}, u32[], u32[]) collective-permute-start(%b), channel_id=1, source_target_pairs={{0,1},{1,2}}
  %while.1 = (s32[], f32[16]{0}) while(%b), condition=%add, body=%body
  ROOT %out = f32[16]{0} get-tuple-element(%while.1), index=1
}
"""  # noqa: E501


def test_collectives_of_a_program():
  found = {c.kind + str(c.num_bytes): c for c in hlo.collectives(PROGRAM, 8)}
  assert {k: (c.group, c.in_loop, c.sent_bytes) for k, c in found.items()} == {
    'all-gather128': (4, False, 128 * 3 / 4),  # once, although written twice
    'reduce-scatter128': (8, False, 128 * 7 / 8),
    'all-reduce64': (2, True, 2 * 64 / 2),
    'all-reduce21': (8, False, 2 * 21 * 7 / 8),  # 3 + 1 floats, 5 booleans
    'collective-permute24': (8, False, 24),
  }


def test_loops_are_seen():
  assert hlo.has_loop(PROGRAM)
  assert not hlo.has_loop(PROGRAM.replace(' while(', ' call('))
  assert not any(
    c.in_loop for c in hlo.collectives(PROGRAM.replace(' while(', ' call('), 8)
  )


def test_traffic_counts_operands_and_results_of_the_entry_alone():
  text = """ENTRY %main (a: f32[8], b: bf16[4]) -> f32[2] {
  %a = f32[8]{0} parameter(0)
  %b = bf16[4]{0} parameter(1)
  %two = (f32[8]{0}, bf16[4]{0}) tuple(%a, %b)
  %sum = f32[2]{0} fusion(%a, %b, %b), kind=kLoop, calls=%f
  ROOT %product = f32[2]{0} multiply(%sum, %sum), metadata={op_name="(%a)"}
}
"""
  fusion = 2 * 4 + 8 * 4 + 2 * 4 * 2
  assert hlo.traffic(text) == fusion + 3 * 2 * 4


@pytest.mark.parametrize(
  'shape, size',
  [
    ('f32[]', 4),
    ('bf16[3,5]{1,0:T(8,128)(2,1)S(1)}', 30),
    ('(s32[2], /*index=1*/u8[7], pred[3])', 18),
    ('s4[3]', 2),
    ('f8e4m3fn[6]', 6),
    ('token[]', 0),
  ],
)
def test_bytes_of_shapes(shape, size):
  assert hlo.shape_bytes(shape) == size
