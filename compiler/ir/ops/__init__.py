"""The operators, one file a family. Importing this package fills the operator table."""

from __future__ import annotations

from . import binary as binary
from . import linear as linear
from . import normalization as normalization
from . import pooling as pooling
from . import quant as quant
from . import quantized as quantized
from . import quantized_pooling as quantized_pooling
from . import shape as shape
from . import tiled as tiled
from . import unary as unary
