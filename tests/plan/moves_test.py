from tsm_jax.plan import moves

# In the spelling of compiled programs: arrays of features f32[4,6,8], 768
# bytes; of a weight f32[3,3,8]; and what belongs to one pass in computations of
# its own.
PROGRAM = """HloModule jit_step, is_scheduled=true

%shifting (p: f32[4,6,8], m: pred[8]) -> f32[4,6,8] {
  %p = f32[4,6,8]{2,1,0} parameter(0)
  %m = pred[8]{0} parameter(1)
  %zero = f32[] constant(0)
  %pad.1 = f32[4,6,8]{2,1,0} pad(%p, %zero), padding=-1_1x0_0x0_0
  %mask = pred[4,6,8]{2,1,0} broadcast(%m), dimensions={2}
  ROOT %select.1 = f32[4,6,8]{2,1,0} select(%mask, %pad.1, %p)
}

%computing (p: f32[4,6,8]) -> f32[4,6,8] {
  %p = f32[4,6,8]{2,1,0} parameter(0)
  %copy.2 = f32[4,6,8]{1,2,0} copy(%p)
  ROOT %sum = f32[4,6,8]{2,1,0} add(%copy.2, %p)
}

%turning (p: f32[4,6,8]) -> f32[8,6,4] {
  %p = f32[4,6,8]{2,1,0} parameter(0)
  %copy.3 = f32[4,6,8]{1,2,0} copy(%p)
  ROOT %turned = f32[8,6,4]{2,1,0} transpose(%copy.3), dimensions={2,1,0}
}

%zeros () -> f32[4,6,8] {
  %zero.1 = f32[] constant(0)
  ROOT %broadcast.1 = f32[4,6,8]{2,1,0} broadcast(%zero.1), dimensions={}
}

%body (s: f32[4,6,8]) -> f32[4,6,8] {
  %s = f32[4,6,8]{2,1,0} parameter(0)
  ROOT %copy.4 = f32[4,6,8]{1,2,0} copy(%s)
}

%condition (s: f32[4,6,8]) -> pred[] {
  %s = f32[4,6,8]{2,1,0} parameter(0)
  ROOT %true = pred[] constant(true)
}

ENTRY %main (w: f32[3,3,8], x: f32[4,48], m: pred[8]) -> f32[4,6,8] {
  %w = f32[3,3,8]{2,1,0} parameter(0)
  %x = f32[4,48]{1,0} parameter(1)
  %m = pred[8]{0} parameter(2)
  %copy.5 = f32[8,3,3]{2,1,0} copy(%w)
  %copy.6 = f32[4,48]{0,1} copy(%x)
  %features = f32[1,4,6,8]{3,2,1,0} bitcast(%copy.6)
  %copy.7 = f32[1,4,6,8]{2,1,3,0} copy(%features), metadata={op_name="(%w)"}
  %fusion.1 = f32[4,6,8]{2,1,0} fusion(%copy.7, %m), kind=kLoop, calls=%shifting
  %fusion.2 = f32[4,6,8]{2,1,0} fusion(%fusion.1), kind=kLoop, calls=%computing
  %fusion.3 = f32[8,6,4]{2,1,0} fusion(%fusion.2), kind=kLoop, calls=%turning
  %fusion.4 = f32[4,6,8]{2,1,0} fusion(), kind=kLoop, calls=%zeros
  %ahead = (f32[4,6,8]{2,1,0:S(1)}, f32[4,6,8]{2,1,0}, u32[]) copy-start(%fusion.4)
  ROOT %loop = f32[4,6,8]{2,1,0} while(%fusion.4), condition=%condition, body=%body
}
"""  # noqa: E501
SIZE = 4 * 6 * 8 * 4  # bytes


def test_what_only_moves_features_is_found():
  assert sorted(moves.find(PROGRAM)) == [
    ('copies', 2 * SIZE, False),  # not of the weight, nor of two axes
    ('copies', 2 * SIZE, True),
    ('rearrangements', 2 * SIZE + 8, False),  # and the mask
    ('transposes', 2 * SIZE, False),
  ]


def test_a_loop_repeats_what_it_holds():
  found = moves.together(moves.find(PROGRAM), repeats=3)
  assert found == {
    'copies': {'count': 4, 'bytes': 8 * SIZE},
    'transposes': {'count': 1, 'bytes': 2 * SIZE},
    'rearrangements': {'count': 1, 'bytes': 2 * SIZE + 8},
  }
