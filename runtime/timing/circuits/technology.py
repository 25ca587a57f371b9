"""What a CMOS process costs, reduced to its NAND gate.

At 28 nm and 0.9 V the gates are ZigZag's: a NAND of 0.7 fF, 0.614 um2 and 47.8 ps; an XOR of 1.5
times its capacitance and 2.4 times its area and delay; a flip-flop of three times its capacitance
and six times its area; half a NAND of word line and of bit line at every cell; a full adder of
three NANDs and two XORs.

Other nodes and voltages are first-order scaling: capacitance and delay follow the node, area its
square, energy the square of the voltage, and delay the alpha-power law V / (V - 0.35 V)^1.3
(Sakurai and Newton, JSSC 1990; threshold and exponent are assumed once, for every process).
Converters do not shrink with the node: noise decides the size of their capacitors.
"""

from __future__ import annotations

from dataclasses import dataclass

_NODE_NM = 28.0
_VDD = 0.9
_NAND_FF, _NAND_UM2, _NAND_NS = 0.7, 0.614, 0.0478
_XOR_CAPACITANCE, _XOR_AREA, _XOR_DELAY = 1.5, 2.4, 2.4
_REGISTER_CAPACITANCE, _REGISTER_AREA = 3.0, 6.0
_LINE_CAPACITANCE = 0.5
_THRESHOLD_V, _ALPHA = 0.35, 1.3


@dataclass(frozen=True)
class Technology:
    """A process node at a supply voltage; capacitances in fF, areas in um2, delays in ns."""

    node_nm: float = _NODE_NM
    vdd: float = _VDD

    def __post_init__(self) -> None:
        if self.node_nm <= 0:
            raise ValueError(f"a node of {self.node_nm} nm; it must be positive")
        if self.vdd <= _THRESHOLD_V:
            raise ValueError(
                f"a supply of {self.vdd} V; the delay law holds above {_THRESHOLD_V} V only"
            )

    @property
    def shrink(self) -> float:
        """Length of a feature over that at 28 nm."""
        return self.node_nm / _NODE_NM

    @property
    def slowness(self) -> float:
        """Delay at this node and voltage over that at 28 nm and 0.9 V."""
        return self.shrink * _alpha_power(self.vdd) / _alpha_power(_VDD)

    @property
    def nand_ff(self) -> float:
        """Capacitance of a NAND gate."""
        return _NAND_FF * self.shrink

    @property
    def line_ff(self) -> float:
        """Capacitance that one cell adds to its word line, and to its bit line."""
        return _LINE_CAPACITANCE * self.nand_ff

    @property
    def multiplier_ff(self) -> float:
        """Capacitance of a one-bit product: a gate of which one input, the weight, rests."""
        return 0.5 * self.nand_ff

    @property
    def full_adder_ff(self) -> float:
        """Capacitance of a full adder."""
        return (3 + 2 * _XOR_CAPACITANCE) * self.nand_ff

    @property
    def register_ff(self) -> float:
        """Capacitance of a flip-flop."""
        return _REGISTER_CAPACITANCE * self.nand_ff

    @property
    def multiplier_um2(self) -> float:
        """Area of a one-bit product."""
        return _NAND_UM2 * self.shrink**2

    @property
    def full_adder_um2(self) -> float:
        """Area of a full adder."""
        return (3 + 2 * _XOR_AREA) * _NAND_UM2 * self.shrink**2

    @property
    def register_um2(self) -> float:
        """Area of a flip-flop."""
        return _REGISTER_AREA * _NAND_UM2 * self.shrink**2

    @property
    def nand_ns(self) -> float:
        """Delay of a NAND gate, thus of a one-bit product."""
        return _NAND_NS * self.slowness

    @property
    def sum_ns(self) -> float:
        """Delay of a full adder from input to sum: two XORs."""
        return 2 * _XOR_DELAY * self.nand_ns

    @property
    def carry_ns(self) -> float:
        """Delay of a full adder from input to carry: an XOR and two NANDs."""
        return (_XOR_DELAY + 2) * self.nand_ns

    @property
    def ripple_ns(self) -> float:
        """Delay of a full adder from carry to carry: two NANDs."""
        return 2 * self.nand_ns

    def energy_pj(self, femtofarad: float) -> float:
        """Energy in pJ to charge a capacitance to the supply once."""
        return femtofarad * self.vdd**2 / 1000


def _alpha_power(vdd: float) -> float:
    return float(vdd / (vdd - _THRESHOLD_V) ** _ALPHA)
