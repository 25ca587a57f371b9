"""Which ONNX nodes the host computes, found out by compiling.

A node goes to the host if it cannot be imported, or if nothing on codes computes what the passes
make of it. The latter shows only behind the passes: then the model is imported again, with such
nodes as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from .errors import HostNeededError

_I = TypeVar("_I")
_R = TypeVar("_R")


def with_hosts(
    import_: Callable[[Mapping[str, str]], _I], run: Callable[[_I, Mapping[str, str]], _R]
) -> tuple[_I, _R]:
    """Import and run, again with more nodes on the host as long as that is asked for.

    Both get the nodes that must go to the host, with reasons; `run` raises `HostNeededError`. Ends
    with that error where it names no node that is not among them.
    """
    hosts: dict[str, str] = {}
    while True:
        found = import_(hosts)
        try:
            return found, run(found, hosts)
        except HostNeededError as error:
            new = {name: why for name, why in error.reasons.items() if name not in hosts}
            if not new:
                raise
            hosts = {**hosts, **new}
