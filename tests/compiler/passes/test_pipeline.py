from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imcc.compiler.errors import CapacityError, InputError, VerificationError
from imcc.compiler.ir import DType, Graph, GraphBuilder, Node, TensorType, Value
from imcc.compiler.ir.ops.unary import Relu
from imcc.compiler.passes import (
    Instrument,
    Pass,
    PassContext,
    PassError,
    Pipeline,
    builtin_passes,
    find_pass,
    registry,
)

VECTOR = TensorType(DType.F32, (1, 4))


class Method(StrEnum):
    MSE = "mse"
    MIN_MAX = "min-max"


@dataclass(frozen=True)
class Everything(Pass):
    """Has an option of each kind and appends a relu."""

    name: ClassVar[str] = "everything"

    weight_bits: int = 8
    scale: float = 1.0
    fast: bool = False
    path: str = ""
    method: Method = Method.MIN_MAX
    sizes: tuple[int, ...] = (1,)
    limit: int | None = 3

    def __post_init__(self) -> None:
        if self.weight_bits < 1:
            raise ValueError(f"weight-bits is {self.weight_bits}; it must be 1 or more")

    def run(self, graph: Graph, context: PassContext) -> Graph:
        builder = GraphBuilder(graph.name)
        value = builder.input("x", VECTOR)
        for _ in range(len(graph.nodes) + 1):
            value = builder.add(Relu(), [value], "y")
        return builder.finish([value], ["y"])


@dataclass(frozen=True)
class Break(Pass):
    """Fails in a way that its option names."""

    name: ClassVar[str] = "break"

    how: str = "graph"

    def requires(self, graph: Graph) -> None:
        if self.how == "requires":
            raise InputError("calibrate first")

    def ensures(self, graph: Graph) -> None:
        if self.how == "ensures":
            raise VerificationError("a relu is left")

    def run(self, graph: Graph, context: PassContext) -> Graph:
        if self.how == "index":
            raise IndexError("list index out of range")
        if self.how == "capacity":
            raise CapacityError("3 arrays too few")
        if self.how == "graph":
            node = Node(Relu(), (Value("nothing", VECTOR),), (Value("z", VECTOR),), ("Relu_9",))
            return replace(graph, nodes=(*graph.nodes, node))
        return graph


@pytest.fixture(scope="module", autouse=True)
def _own_passes() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    points = [
        EntryPoint("everything", f"{__name__}:Everything", registry.GROUP),
        EntryPoint("break", f"{__name__}:Break", registry.GROUP),
        EntryPoint("other", f"{__name__}:Break", registry.GROUP),
        EntryPoint("text", f"{__name__}:VECTOR", registry.GROUP),
    ]
    loaded = {point.name: globals()[point.attr] for point in points}
    load = EntryPoint.load
    patch.setattr(EntryPoint, "load", lambda point: loaded.get(point.name) or load(point))
    patch.setattr(registry, "entry_points", lambda group: EntryPoints(points))
    yield
    patch.undo()


def graph() -> Graph:
    builder = GraphBuilder("net")
    x = builder.input("x", VECTOR)
    return builder.finish([x], ["x"])


ITEM = st.text(st.characters(codec="utf-8"), max_size=8)
PASSES = st.builds(
    Everything,
    st.integers(1, 99),
    st.floats(allow_nan=False),
    st.booleans(),
    ITEM,
    st.sampled_from(Method),
    st.lists(st.integers(), max_size=3).map(tuple),
    st.none() | st.integers(),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(PASSES | st.builds(Break, ITEM), max_size=3))
def test_the_text_reads_back_as_the_same_passes(passes: list[Pass]) -> None:
    pipeline = Pipeline(tuple(passes))
    assert Pipeline.parse(str(pipeline)) == pipeline


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("", ()),
        ("everything", (Everything(),)),
        (" everything , everything{} ", (Everything(), Everything())),
        ("everything{weight-bits=4 method=mse}", (Everything(4, method=Method.MSE),)),
        ("everything{fast sizes=1,2,3}", (Everything(fast=True, sizes=(1, 2, 3)),)),
        ("everything{scale=1e-3 limit=none}", (Everything(scale=0.001, limit=None),)),
        ("everything{sizes=none}", (Everything(sizes=()),)),
        ('everything{path="a b\\"c"}', (Everything(path='a b"c'),)),
        ("everything{path=a/b.txt}", (Everything(path="a/b.txt"),)),
    ],
)
def test_pipelines_in_text(text: str, passes: tuple[Pass, ...]) -> None:
    assert Pipeline.parse(text).passes == passes


def test_only_options_that_differ_from_their_default_are_written() -> None:
    passes = (Everything(4, 0.5, sizes=(1, 2)), Everything(), Everything(path="a b", fast=True))
    written = (
        'everything{weight-bits=4 scale=0.5 sizes=1,2},everything,everything{fast=true path="a b"}'
    )
    assert str(Pipeline(passes)) == written


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("everthing", "no pass is named 'everthing'; did you mean 'everything'? (passes: "),
        (
            "everything{wait-bits=4}",
            "pass 'everything' has no option 'wait-bits'; did you mean 'weight-bits'? "
            "(its options are weight-bits, scale, fast, path, method, sizes, limit)",
        ),
        (
            "everything{weight-bits=four}",
            "pass 'everything', option 'weight-bits': 'four' is not an integer",
        ),
        ("everything{scale=x}", "pass 'everything', option 'scale': 'x' is not a number"),
        ("everything{fast=1}", "option 'fast': '1' is not one of true, false"),
        (
            "everything{method=msr}",
            "option 'method': 'msr' is not one of mse, min-max; did you mean 'mse'?",
        ),
        ("everything{weight-bits=1,2}", "'1,2' is a list, and the option takes one value"),
        ("everything{fast fast}", "pass 'everything': option 'fast' is given twice"),
        (
            "everything{weight-bits=0}",
            "pass 'everything', options 'weight-bits=0': weight-bits is 0; it must be 1 or more",
        ),
        ("everything{", "pipeline, column 12: cannot read this"),
        ("everything,,break", "pipeline, column 12: cannot read this"),
        ("Everything", "pipeline, column 1: cannot read this"),
        ("other", "entry point 'other' holds the pass 'break'"),
        ("text", "is not a Pass class"),
    ],
)
def test_errors_in_text(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        Pipeline.parse(text)
    assert message in str(caught.value)


def test_builtin_passes_are_found_by_their_names() -> None:
    for cls in builtin_passes():
        assert find_pass(cls.name) is cls
        assert str(Pipeline.parse(cls.name)) == cls.name


def test_every_builtin_pass_has_a_filecheck_test() -> None:
    files = (Path(__file__).parents[2] / "filecheck").rglob("*.mlir")
    runs = [path.read_text(encoding="utf-8").partition("\n")[0] for path in files]
    for cls in builtin_passes():
        assert any(re.search(rf"[',]{cls.name}[{{,']", run) for run in runs), cls.name


def test_passes_run_in_order() -> None:
    result = Pipeline.parse("everything,everything").run(graph())
    assert len(result.nodes) == 2


def test_a_graph_that_breaks_the_rules_is_the_fault_of_its_pass() -> None:
    with pytest.raises(PassError) as caught:
        Pipeline.parse("everything{fast},break,everything").run(graph())
    assert str(caught.value).startswith(
        "pass break (passes before it: everything{fast=true}) failed: "
        "graph 'net' breaks the rules of the IR, 1 problem:"
    )
    assert "Relu_9 (imcc.relu): operand 'nothing' is used before" in str(caught.value)
    assert isinstance(caught.value.__cause__, VerificationError)


def test_without_verification_the_pass_is_believed() -> None:
    result = replace(Pipeline.parse("break"), verify_each=False).run(graph())
    assert len(result.nodes) == 1


def test_a_defect_of_a_pass_names_the_passes_before() -> None:
    with pytest.raises(PassError) as caught:
        Pipeline.parse("break{how=index}").run(graph())
    assert str(caught.value) == (
        "pass break{how=index} (passes before it: none) failed: IndexError: list index out of range"
    )


@pytest.mark.parametrize(("how", "kind"), [("capacity", CapacityError), ("requires", InputError)])
def test_errors_of_the_user_keep_their_class(how: str, kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        Pipeline.parse(f"everything,break{{how={how}}}").run(graph())
    note = f"in pass break{{how={how}}} (passes before it: everything)"
    assert caught.value.__notes__ == [note]


def test_a_pass_is_held_to_what_it_ensures() -> None:
    with pytest.raises(PassError, match="failed: a relu is left"):
        Pipeline.parse("break{how=ensures}").run(graph())


@dataclass
class Log(Instrument):
    """Writes down what it sees."""

    events: list[str] = field(default_factory=list)

    def start(self, passes: tuple[Pass, ...]) -> None:
        self.events.append(f"start {len(passes)}")

    def before(self, pass_: Pass, graph: Graph) -> None:
        self.events.append(f"before {pass_} {len(graph.nodes)}")

    def after(self, pass_: Pass, before: Graph, after: Graph) -> None:
        self.events.append(f"after {pass_} {len(before.nodes)} {len(after.nodes)}")

    def failed(self, pass_: Pass, graph: Graph, error: Exception) -> None:
        self.events.append(f"failed {pass_} {len(graph.nodes)} {type(error).__name__}")


def test_instruments_see_every_pass() -> None:
    log = Log()
    with pytest.raises(PassError):
        Pipeline.parse("everything,break", [log]).run(graph())
    assert log.events == [
        "start 2",
        "before everything 0",
        "after everything 0 1",
        "before break 1",
        "failed break 1 VerificationError",
    ]
