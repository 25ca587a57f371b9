"""Parts of the pass `partition-host`: what must run on the host, and the partitions made of it."""

from __future__ import annotations

from .need import needed_on_host
from .partition import partitioned

__all__ = ["needed_on_host", "partitioned"]
