"""Time and energy of a program on its target, simulated without data.

Control flow does not depend on data, so `profile` plays the instructions of all cores through,
in one order of time and in whole cycles. All numbers come from the target.

Issue. A core fetches its instructions in order and issues at most one a cycle. `stream`, `dim`,
`step`, `setq`, `lag`, `loop` (once, not an iteration) and `nop` take a cycle of issue and nothing
else. Any other instruction issues in the first cycle in which
  - all older ones of the core have issued,
  - fewer than `core.issue_window` of them are under way,
  - its unit is free; for `mvm`, `write` and `write.matrix`: their arrays are; a core has one
    `write.matrix` under way at a time,
  - no older one under way writes what it reads or writes, or reads what it writes. Compared are
    the bounding ranges of streams, in local and in global memory.
With a window of 1 each begins when the one before has ended.

Units. Every instruction holds its unit from issue to end; a unit has no queue.

    arrays      mvm: ceil(windows / copies) * steps * (time of one input step, see `product`) of
                the arrays of its matrix, where row blocks are not started one by one (below);
                write: rows * t_write_row_ns of one array; other arrays go on;
                write.matrix: as many arrays at once as the issue window has instructions, in turns
                of (most rows that one of them takes) * t_write_row_ns, all arrays until the last
                is done; what goes to several copies is read once
    vector      vector_cycles * ceil(elements / vector_lanes); `softmax` passes four times over its
                elements: maximum, look-up, sum and quotient; `norm` three times: sum, squares,
                quotient; `max` and `sum` count the elements they read, `dot` its products
    dma engine  load, store, gather from global memory: has no speed of its own
    port        copy, fill, gather from local memory: nothing but the port of the local memory
    network     one port out and one in a core: bytes / noc_bytes_per_cycle + hops * noc_hop_cycles

Starts. On chips with a `t_start_ns` a core starts each row block of each window by itself, that
long apart. With a row blocks and k copies of window time L, w windows in n = ceil(w / k) rounds,
the last of v windows, take (n - 1) * max(L, k * a * t_start_ns) + (v * a - 1) * t_start_ns + L
from their first start on. The starts of an instruction are taken in one piece, w * a * t_start_ns,
in order of issue: the first one waits for those of the instruction before.

Memories. An element counts the bytes it has, or `element_bytes` of the target. All bytes that an
instruction reads and writes in local memory pass the port of its core, local_bytes_per_cycle; all
bytes in global memory (also those of tables and constants that `mvm`, the writes and the vector
unit read there) pass the one global memory of the chip, global_bytes_per_cycle. Each takes an
instruction's bytes in one piece, a whole number of cycles, from its start on, and in order of
these starts; on equal cycles the core with the lower number is first. Transfers have precedence at
the port: their bytes wait for those of other transfers of the core only, and what else begins
later passes behind them. An instruction ends when its unit is ready and all its bytes have passed.

Network. A send and its recv start when both have issued and every link between the cores is
free, take bytes / noc_bytes_per_cycle of all links together, and end together, hops *
noc_hop_cycles later. Core c lies at row ``c // mesh_cols`` and column ``c % mesh_cols`` of the
mesh; routes go along the row and then along the column. On a bus all cores share one link, and a
transfer is one hop. Transfers get links in the order in
which they are ready. Sends and receives find each other by both cores and tag, in order.

Waiting. A barrier waits until all that is under way on its core has ended, and ends when all
cores are there. `host` waits in the same way and takes no time: what the host computes is no
work of the chip. Nothing younger passes either.

Inputs. Each core runs its program once a round, a round an input. Behind the last instruction of
a round comes the first of the next one, by the same rules: what is still under way goes on. With a
greatest lag of L a core takes L rounds more: in round r an operation of lag k is for input r - k,
and is left out, at no cost, where that does not exist. All else is played in every round. The
ranges of operations are compared whatever their inputs. Cells keep their
weights: the writes with which a program begins, up to the last one before any other operation,
happen before time 0 and are reported apart, one behind the other on a core and side by side on
different cores. Where a core writes one of these arrays again later, the first write to it and all
behind it count for every input. Global memory above the constants exists once an input, so that
only transfers and barriers tie cores together. The latency is the end of the first input on the
last core, with the others behind it; the interval is the time between the ends of the last two
that others follow. With lags as many more inputs follow as the greatest lag, so that all rounds
that count are full.

Energy is the sum over conversions, rows driven a step, array reads, partial sums shifted and
added, element operations of the vector unit, bytes read and written (bytes sent count once a
hop) and cells written, each times the energy of one. An operand axis of stride 0 is read once.
Leakage is the power of all components of the cores of the program and of the global memory,
times the latency or the interval; other cores are off.

Not counted: fetching instructions from memory, the latency of memories, banks and rows of
memories, buffers in routers, energy and time of the host, and the digital correction by the
centre of offset encoding.
"""

from __future__ import annotations

from imcc.isa.cost import ProductCost, Work, costs, product_cost

from .layers import LayerCost
from .power import area_mm2, leakage_mw
from .profile import DEFAULT_INPUTS, Profile, SetupCost, profile
from .timeline import Slice, Timeline, Track, timeline
from .usage import CoreUse, ResourceUse

__all__ = [
    "DEFAULT_INPUTS",
    "CoreUse",
    "LayerCost",
    "ProductCost",
    "Profile",
    "ResourceUse",
    "SetupCost",
    "Slice",
    "Timeline",
    "Track",
    "Work",
    "area_mm2",
    "costs",
    "leakage_mw",
    "product_cost",
    "profile",
    "timeline",
]
