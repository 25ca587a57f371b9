"""PIMCOMP's cost model, for programs of this project.

PIMCOMP-NN (commit 2ed10c8) estimates its programs with `evaluation/ModelEvaluation.cpp`; the
constants are those of `evaluation/EvaluationConfig.h` (`Rates`). The rules are its rules, so that
two compilers can be measured with one ruler. It models no instruction fetch, no conflicts of
addresses and no limit of what is under way.

Clocks. A core has three: *results* (when all it has computed is there), *inputs* (when what its
next product reads is prepared) and the start of its last product. Programs consist of groups; at
the end of a group inputs wait for results. With B bytes an element and times in ns, rounded up:

    MVMUL       one window of one row block, on all of its arrays. The first of a group starts at
                *inputs* and moves *results* by L. Any other starts at the last start + max(200,
                inputs - last start), or L after the last start on the same arrays if that is
                later; *results* becomes its start + L.
    vector      *results* += 10 for each 64 bytes begun
    LD          takes d: the first free ns of the global memory from *inputs* on, 64 bytes each;
                inputs += d, results = max(results, inputs)
    ST          the same from *results* on; results += d
    LMV, LLDI   twice and once the bytes / 25.6; added to *inputs* where it prepares a product, else
                to *results*
    SEND, RECV  meet at the later of both *results* and take the first free ns of the one bus of the
                chip, 25.6 bytes each; both *results* become their end

Translation. `mvm` of w windows is w MVMUL for each row block; each is preceded by an LMV of its
inputs, as MVMUL reads a vector that lies in one piece, and the sums of a window are added up by a
VVADD for each row block but the first (and one more where the product is added to what is there).
Instructions of the vector unit take the elements that `costs` counts; so do multiplications, which
PIMCOMP leaves out. `copy` and `gather` are LMV, `fill` is LLDI, `load` is LD, `store` is ST;
operands in global memory are loaded before. A `barrier` sets all *results* to the latest. `write`
and `host` take no time.

Groups. PIMCOMP's programs prepare, multiply, and work on results, group by group. Here a group ends
before a `load` or a product (with the copies right before it) that follows work on results. So no
transfer lies before a product in its group, and PIMCOMP's rule for that case has no use.

Rounds. In PIMCOMP's programs for high throughput every layer works on another sample, and the
period is the end of the last core. Programs with phases are taken so too: in a round nobody waits
for an earlier phase, and the period is that of a round.

Not as in PIMCOMP: rectangles of cells may share an array here, and then take turns; its programs
for high throughput leave out pooling, additions and concatenation (all is counted here). Where
cores compete for the memory or the bus, PIMCOMP goes core by core in each group; here the core
whose *inputs* are earliest goes first.
"""

from __future__ import annotations

from .clocks import Clocks, Rates
from .evaluate import Evaluation, evaluate
from .slots import Slots

__all__ = ["Clocks", "Evaluation", "Rates", "Slots", "evaluate"]
