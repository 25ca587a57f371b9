"""The operators, one file a family. Importing this package fills the operator table."""

from __future__ import annotations

from . import activation as activation
from . import attention as attention
from . import binary as binary
from . import carried_state as carried_state
from . import cast as cast
from . import compare as compare
from . import composed as composed
from . import constant_operand as constant_operand
from . import dilate as dilate
from . import einsum as einsum
from . import embedding as embedding
from . import grid as grid
from . import host as host
from . import indexing as indexing
from . import integer_products as integer_products
from . import layer_norm as layer_norm
from . import linear as linear
from . import logic as logic
from . import math as math
from . import normalization as normalization
from . import normalize as normalize
from . import parallel_windows as parallel_windows
from . import partial_sums as partial_sums
from . import pooling as pooling
from . import quant as quant
from . import quantized as quantized
from . import quantized_divide as quantized_divide
from . import quantized_dot as quantized_dot
from . import quantized_normalize as quantized_normalize
from . import quantized_pooling as quantized_pooling
from . import quantized_reduce as quantized_reduce
from . import quantized_select as quantized_select
from . import recurrent as recurrent
from . import reduce as reduce
from . import resize as resize
from . import rows as rows
from . import sampling as sampling
from . import shape as shape
from . import signal as signal
from . import spill as spill
from . import tiled as tiled
from . import transposed as transposed
from . import unary as unary
from . import unpooling as unpooling
