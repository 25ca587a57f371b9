"""A small program on the target `tiny`: two cores, one matrix, every kind of transfer."""

from __future__ import annotations

from base64 import b64encode
from functools import cache

import numpy as np
from numpy.typing import NDArray

from imcc.isa import Program, assemble, encode_scales, load_target, pack_levels

WEIGHTS = np.array([[-127, 3], [64, -5], [1, 127], [-90, 17]], np.int64)
BOUND = int(max(np.maximum(WEIGHTS, 0).sum(0).max(), -np.minimum(WEIGHTS, 0).sum(0).min())) * 255

TEXT = """\
.imcc 1.0
.target {target}
.global 512
.note ["model","by hand"]
.input {{"address":384,"bits":8,"dtype":"f32","element":"u8","name":"x","scale":0.5,"shape":[1,4],\
"zero_point":0}}
.output {{"address":448,"bits":8,"dtype":"f32","element":"u8","name":"y","scale":0.25,\
"shape":[1,2],"zero_point":3}}
.matrix {{"adcs":[{adcs}],"block_cols":0,"block_rows":0,"bound":{bound},"center":0,"cols":2,\
"copies":1,"core":0,"input_bits":8,"rows":4,"slices":[{slices}],"step_bits":1,"subtract_analog":false}}
{tiles}
.origin 0 0 4 ["/layer1/conv"]
.origin 0 9 18 ["/layer1/conv", "/layer1/relu"]
.core 0
  stream s0, global, u8, 0
  dim s0, 4, 4, 4
  dim s0, 5, 4, 1
  write a0, s0, 0, 0, 16
  stream s1, global, u8, 384
  dim s1, 5, 4, 1
  stream s2, local, u8, 0
  dim s2, 5, 4, 1
  load s2, s1
  stream s3, local, i32, 16
  dim s3, 5, 2, 4
  mvm s3, s2, m0, 1, 0
  stream s4, global, i32, 64
  dim s4, 5, 2, 4
  stream s5, global, u32, 72
  dim s5, 5, 2, 4
  stream s6, local, u8, 32
  dim s6, 5, 2, 1
  setq 3, 0, 255, float24
  requant s6, s3, s4, s5
  barrier 7
  send s6, c1, 5
  halt
.core 1
  barrier 7
  stream s0, local, u8, 0
  dim s0, 5, 2, 1
  recv s0, c0, 5
  stream s1, local, u8, 64
  stream s2, local, u8, 0
  stream s3, global, u8, 80
  dim s3, 5, 256, 1
  loop 2, 3
    lut s1, s2, s3
    step s1, 1
    step s2, 1
  stream s4, local, u8, 64
  dim s4, 5, 2, 1
  stream s5, global, u8, 448
  dim s5, 5, 2, 1
  store s5, s4
  halt
.constants 384
{constants}
"""


def _levels(weights: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Columns: four slices of the positive parts, then four of the negative parts."""
    parts = [np.maximum(weights, 0), np.maximum(-weights, 0)]
    return np.concatenate(
        [part >> 2 * index & 3 for part in parts for index in range(4)], axis=1
    ).astype(np.uint8)


def _tile(index: int, negative: bool) -> str:
    return (
        f'{{"array":0,"col":{2 * index + 8 * negative},"cols":2,"copy":0,"k":0,"n":0,'
        f'"negative":{str(negative).lower()},"row":0,"rows":4,"slice":{index}}}'
    )


@cache
def hand_text() -> str:
    """Return the assembly text of the program."""
    constants = bytearray(384)
    constants[:16] = pack_levels(_levels(WEIGHTS), 2).tobytes()
    constants[64:72] = np.array([100, -100], "<i4").tobytes()
    constants[72:80] = encode_scales([0.001, 0.0025]).astype("<u4").tobytes()
    constants[80:336] = bytes(range(255, -1, -1))
    tiles = [_tile(index, negative) for negative in (False, True) for index in range(4)]
    return TEXT.format(
        target=load_target("tiny").to_json(),
        adcs=",".join(['{"bits":8,"low":0,"step":1}'] * 4),
        slices=",".join(f'{{"bits":2,"coefficient":{4**index}}}' for index in range(4)),
        bound=BOUND,
        tiles="\n".join(f"  .tile {tile}" for tile in tiles),
        constants=b64encode(bytes(constants)).decode("ascii"),
    )


def hand_text_with_offsets() -> str:
    """Return the text of a program that does the same, from other bases."""
    text = hand_text()
    for old, new in (
        ("stream s1, global, u8, 384", "stream s1, global, u8, 484"),
        ("load s2, s1", "load s2, s1-100"),
        ("send s6, c1, 5", "step s6, 7\n  send s6-7, c1, 5"),
        ("recv s0, c0, 5", "step s0, -3\n  recv s0+3, c0, 5"),
        ("stream s5, global, u8, 448", "stream s5, global, u8, 0"),
        ("store s5, s4", "store s5+448, s4"),
    ):
        text = text.replace(old, new)
    return text


@cache
def hand_program() -> Program:
    """Return the program."""
    return assemble(hand_text())
