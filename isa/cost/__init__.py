"""What the operations of a program cost on its target: time of each unit, bytes, energy."""

from __future__ import annotations

from .costs import CostModel, costs
from .mesh import BUS, Link, Mesh
from .operation import NOBODY, OperationCost, OperationCosts
from .product import ProductCost, product_cost
from .unit import CORE_UNITS, Unit, units
from .work import Work, energies, energy_pj, whole_cycles

__all__ = [
    "BUS",
    "CORE_UNITS",
    "NOBODY",
    "CostModel",
    "Link",
    "Mesh",
    "OperationCost",
    "OperationCosts",
    "ProductCost",
    "Unit",
    "Work",
    "costs",
    "energies",
    "energy_pj",
    "product_cost",
    "units",
    "whole_cycles",
]
