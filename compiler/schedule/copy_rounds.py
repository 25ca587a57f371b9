"""How many rounds of windows the copies of a product take for some runs of rows."""

from __future__ import annotations

from collections.abc import Sequence

from ..ir.graph import Node
from ..ir.ops.rows import Span
from ..mapping.plan import MatrixPlan
from .scratch import windows_per_row


def rounds(node: Node, plans: Sequence[MatrixPlan], runs: Sequence[Span], strips: int) -> int:
    """Rounds of the slowest group, where groups with these plans take runs of each strip in turn.

    In a round each copy takes a window, and a part begins a new one.
    """
    copies, width = plans[0].shards[0].matrix.copies, -(-windows_per_row(node) // strips)
    each = [-(-(stop - start) * width // copies) for start, stop in runs for _ in range(strips)]
    return max(sum(each[group :: len(plans)]) for group in range(len(plans)))
