"""First-order cycles and energy of a program, from its target's numbers and without data.

Control flow does not depend on data, so `profile` walks the operations of a program and adds up
what each does. All numbers come from `timing` and `energy` of the target. Every operation takes
a whole number of cycles:

    mvm         ceil(windows / copies) * steps * (time of one input step, see `product`)
    vector      ceil(elements / vector_lanes); `softmax` passes four times over its elements:
                maximum, look-up, sum and quotient; `norm` three times: sum, squares, quotient;
                `max` and `sum` count the elements they read, `dot` its products
    host        nothing: what the host computes is no work of the chip, and its time is not known
    gather      bytes written / global_bytes_per_cycle, or local_ where the table is local
    load/store  bytes written / global_bytes_per_cycle
    copy/fill   bytes written / local_bytes_per_cycle (read and write ports work side by side)
    exchange    bytes sent / noc_bytes_per_cycle + hops * noc_hop_cycles
    write       rows * t_write_row_ns

One input step of a product drives all its arrays together. An array needs one read for each
group of rows that is driven with the same part of the input; reads of one array follow each
other, and each takes

    max(t_step_ns, ceil(columns converted / per_array) * t_adc_ns)

The operations of a core follow each other. A send and the recv it meets start when both cores
are there and end together; core c lies at row ``c // mesh_cols`` and column ``c % mesh_cols``
of the mesh, hops are counted along rows and columns. A barrier aligns the clocks of all cores.

Energy is the sum over conversions, rows driven a step, array reads, partial sums shifted and
added, element operations of the vector unit, bytes read and written (bytes sent count once a
hop) and cells written, each times the energy of one. An operand axis of stride 0 is read once.

Not counted: contention for global memory and links, memory bandwidth of `mvm` and vector
operands (they are fetched while the unit works), instruction fetch, leakage, and the digital
correction by the centre of offset encoding. Writing cells happens once and is reported apart.
"""

from __future__ import annotations

from .costs import costs
from .product import ProductCost, product_cost
from .profile import LayerCost, Profile, SetupCost, profile
from .work import Work

__all__ = [
    "LayerCost",
    "ProductCost",
    "Profile",
    "SetupCost",
    "Work",
    "costs",
    "product_cost",
    "profile",
]
