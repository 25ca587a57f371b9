"""Partitions for the host: as few as possible, and never around the machine."""

from __future__ import annotations

import numpy as np
import pytest
from support.host_networks import NETWORKS, HostNetwork

from imcc.compiler.errors import HostNeededError
from imcc.compiler.frontend import import_for_compilation
from imcc.compiler.hosting import with_hosts
from imcc.compiler.ir import Graph, evaluate, parse_graph, print_graph, verify
from imcc.compiler.ir.ops.host import Host
from imcc.compiler.options import CompileOptions
from imcc.compiler.passes import PassContext, Pipeline
from imcc.compiler.passes.partition_host import PartitionHost
from imcc.compiler.passes.quantize import Quantize

PASSES = Pipeline.parse(CompileOptions().passes()).passes
FRONT = tuple(p for p in PASSES if not isinstance(p, Quantize))


def before_and_after(network: HostNetwork) -> tuple[Graph, Graph]:
    """The float graph with single host nodes, and with partitions."""
    front = Pipeline(tuple(p for p in FRONT if not isinstance(p, PartitionHost)))

    def run(imported: object, _: object) -> tuple[Graph, Graph]:
        graph = front.run(imported.graph, PassContext())  # type: ignore[attr-defined]
        return graph, PartitionHost().run(graph, PassContext())

    return with_hosts(lambda hosts: import_for_compilation(network.model, hosts=hosts), run)[1]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_partitions_compute_what_their_nodes_did(network: HostNetwork) -> None:
    before, after = before_and_after(network)
    verify(after)
    partitions = [node.origin for node in after.nodes if isinstance(node.op, Host)]
    assert partitions == network.partitions
    wanted, found = evaluate(before, network.inputs), evaluate(after, network.inputs)
    for name, array in wanted.items():
        np.testing.assert_array_equal(found[name], array, name)


def test_partitions_survive_the_text_form() -> None:
    _, graph = before_and_after(NETWORKS[0])
    assert parse_graph(print_graph(graph)).same_as(graph)


def test_a_graph_without_host_nodes_stays_as_it_is() -> None:
    _, graph = before_and_after(NETWORKS[0])
    (first, *_) = [node for node in graph.nodes if not isinstance(node.op, Host)]
    alone = Graph("g", first.operands[:1], first.results, ("y",), (first,), graph.constants)
    assert PartitionHost().run(alone, PassContext()) is alone


def test_what_is_not_on_the_host_yet_is_asked_for() -> None:
    imported = import_for_compilation(NETWORKS[0].model).graph
    with pytest.raises(HostNeededError, match="Hardmax has no integer form") as caught:
        Pipeline(FRONT).run(imported, PassContext())
    assert {"Hardmax:b", "Hardmax:d", "Hardmax:y"} <= caught.value.reasons.keys()
