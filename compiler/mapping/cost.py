"""Crossbar counts of dense tiling, as published mapping studies count them.

CIM-AQ (DATE 2026, arXiv 2601.21737) counts a write for each array that a matrix of K rows and N
outputs touches, ``ceil(rows / R) * ceil(cols / C)``, and an execute for each write, input window
and input step. Offset encoding takes one more column, which holds the offset; differential
encodings double columns or rows. This compiler packs tighter: arrays are shared, and offsets are
corrected digitally.
"""

from __future__ import annotations

from imcc.isa.target import Encoding


def crossbar_writes(
    rows: int,
    outputs: int,
    weight_bits: int,
    encoding: Encoding,
    *,
    cell_bits: int,
    array_rows: int,
    array_cols: int,
) -> int:
    """Arrays written for a matrix of `rows` x `outputs` weights, each array for it alone."""
    cols = outputs * -(-weight_bits // cell_bits)
    if encoding is Encoding.OFFSET:
        cols += 1
    elif encoding is Encoding.DIFFERENTIAL_COLUMNS:
        cols *= 2
    elif encoding is Encoding.DIFFERENTIAL_ROWS:
        rows *= 2
    return -(-rows // array_rows) * -(-cols // array_cols)
