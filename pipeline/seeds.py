"""Where chance comes from: every source is a hash of the study's seed and a path of names.

No generator is shared, so no draw depends on what else ran before it, beside it or on another machine.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np


def stream(study_seed: int, *names: str | int) -> int:
    """A seed in [1, 2**31), a pure function of its arguments.

    Zero is left out because Keras Tuner takes it for "no seed".
    """
    path = json.dumps([study_seed, *names], separators=(",", ":")).encode()
    digest = hashlib.sha256(path).digest()
    return int.from_bytes(digest[:8], "big") % (2**31 - 1) + 1


def generator(study_seed: int, *names: str | int) -> np.random.Generator:
    """A NumPy generator of its own for one use (PCG64, whose stream NumPy keeps stable)."""
    return np.random.Generator(np.random.PCG64(stream(study_seed, *names)))
