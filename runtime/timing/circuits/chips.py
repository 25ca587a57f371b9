"""The measured chips that the model is compared with.

Published values are those that CiMLoop (`workspace/models/arch/1_macro/*/_tests.py`) read from
tables and figures of the papers; the parameters of the circuits are those of its models.
"""

from __future__ import annotations

from .colonnade import COLONNADE
from .jia import JIA
from .neurram import NEURRAM
from .silicon import Chip
from .sinangil import SINANGIL
from .wang import WANG

CHIPS: tuple[Chip, ...] = (NEURRAM, WANG, JIA, SINANGIL, COLONNADE)
