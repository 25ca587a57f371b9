"""Converters, one file a family of ONNX operators. Importing this package registers them."""

from __future__ import annotations

from . import arithmetic as arithmetic
from . import constants as constants
from . import linear as linear
from . import normalization as normalization
from . import pooling as pooling
from . import quant as quant
from . import shape as shape
from . import slicing as slicing
from . import unary as unary
