"""Everything that a simulation did, as slices on one track a resource."""

from __future__ import annotations

from dataclasses import dataclass

from imcc.isa.cost import BUS, Unit
from imcc.isa.program import Program

from .layers import Names
from .profile import DEFAULT_INPUTS, Profile, profile_of
from .simulator import TRANSFERS, Hold, Simulation


@dataclass(frozen=True)
class Track:
    """A resource: a unit or an array of `core`; links and the global memory have no core."""

    core: int | None
    name: str


@dataclass(frozen=True)
class Slice:
    """A resource works from cycle `first` to `end` on instruction `pc` of `core`.

    `layer` joins the names of the ONNX nodes with " + ".
    """

    track: Track
    first: int
    end: int
    mnemonic: str
    core: int
    pc: int
    input: int
    layer: str


@dataclass(frozen=True)
class Timeline:
    """The slices of all inputs, by track and time; on one track they do not overlap."""

    profile: Profile
    slices: tuple[Slice, ...]

    @property
    def tracks(self) -> tuple[Track, ...]:
        """The tracks that have slices, in their order."""
        return tuple(dict.fromkeys(one.track for one in self.slices))


def timeline(program: Program, inputs: int = DEFAULT_INPUTS) -> Timeline:
    """Simulate a valid program as `profile` does, and keep what each resource did."""
    holds: list[Hold] = []
    simulation = Simulation(program, inputs + program.lags, holds.append)
    simulation.run()
    names = Names(program)
    holds = [hold for hold in holds if hold.end > hold.first]
    holds.sort(key=_order)
    slices = (
        Slice(
            track=_track(hold),
            first=hold.first,
            end=hold.end,
            mnemonic=hold.by.operation.instruction.mnemonic,
            core=hold.by.operation.core,
            pc=hold.by.operation.pc,
            input=hold.by.input,
            layer=names.of(hold.by.operation),
        )
        for hold in holds
    )
    return Timeline(profile_of(program, simulation), tuple(slices))


def _order(hold: Hold) -> tuple[bool, int, int, tuple[int, int], int]:
    """By core and kind of unit; what belongs to no core comes last."""
    return hold.core is None, hold.core or 0, hold.unit, hold.place, hold.first


def _track(hold: Hold) -> Track:
    if hold.unit is Unit.LINK:
        if hold.place == BUS:
            return Track(None, "bus")
        start, end = hold.place
        return Track(None, f"link {start} to {end}")
    if hold.unit is Unit.ARRAYS:
        return Track(hold.core, f"array {hold.place[0]}")
    return Track(hold.core, hold.unit.label + (", transfers" if hold.place == TRANSFERS else ""))
