"""Converters, one file a family of ONNX operators. Importing this package registers them."""

from __future__ import annotations

from . import arithmetic as arithmetic
from . import attention as attention
from . import carried_state as carried_state
from . import cast as cast
from . import constants as constants
from . import contrib as contrib
from . import control_flow as control_flow
from . import einsum as einsum
from . import elementwise as elementwise
from . import generate as generate
from . import indexing as indexing
from . import integer_products as integer_products
from . import layer_norm as layer_norm
from . import layout as layout
from . import linear as linear
from . import math as math
from . import normalization as normalization
from . import normalizers as normalizers
from . import pooling as pooling
from . import products as products
from . import qonnx as qonnx
from . import qoperator as qoperator
from . import quant as quant
from . import recurrent as recurrent
from . import reduce as reduce
from . import resize as resize
from . import sampling as sampling
from . import shape as shape
from . import signal as signal
from . import slicing as slicing
from . import transposed as transposed
from . import unary as unary
from . import unpooling as unpooling
from . import windowed as windowed
