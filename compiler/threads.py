"""Threads: how many there are, and BLAS kept to one of them.

Products of the sizes met here gain little from BLAS's own threads and stall for milliseconds
where another thread is busy, so whole mini-batches run side by side instead.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module


def thread_count() -> int:
    """`IMCC_NUM_THREADS`, else the number of CPUs that this process may use."""
    chosen = os.environ.get("IMCC_NUM_THREADS", "")
    if chosen.isdigit() and int(chosen):
        return int(chosen)
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(affinity(0)) if affinity else os.cpu_count() or 1


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep BLAS to one thread inside."""
    import_module("numpy")  # the limit counts for libraries that are loaded
    from threadpoolctl import ThreadpoolController

    with ThreadpoolController().limit(limits=1, user_api="blas"):
        yield
