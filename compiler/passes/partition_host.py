"""The pass `partition-host`: what the machine cannot do, in as few parts as possible."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..errors import HostNeededError
from ..ir import Graph
from ..ir.ops.host import Host
from .base import Pass, PassContext
from .host import needed_on_host, partitioned


@dataclass(frozen=True)
class PartitionHost(Pass):
    """Merges neighbouring host nodes into partitions, which onnxruntime runs.

    1. Nodes that have no form on codes must be host nodes; so must moves between host nodes, and
       what computes with integers of the host. Where one is not, the pass stops with
       `HostNeededError`, and the compiler imports the model again with these as host nodes.
    2. Host nodes that are neighbours become one, unless a path between them leads over the machine.
    """

    name: ClassVar[str] = "partition-host"

    def run(self, graph: Graph, context: PassContext) -> Graph:
        """The graph with partitions; one that needs no host stays as it is."""
        needed = needed_on_host(graph)
        if needed:
            listed = "\n".join(f"  {name}: {reason}" for name, reason in needed.items())
            text = f"these nodes cannot be quantized and would run on the host:\n{listed}"
            raise HostNeededError(text, needed)
        hosted = any(isinstance(node.op, Host) for node in graph.nodes)
        return partitioned(graph) if hosted else graph
