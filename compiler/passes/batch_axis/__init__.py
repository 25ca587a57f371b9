"""Rules that put a batch axis before what an operator works on, one module a family."""

from __future__ import annotations

from . import host as host
from . import moving as moving
from . import products as products
from . import shifts as shifts
from . import windows as windows
