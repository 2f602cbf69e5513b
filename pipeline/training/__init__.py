"""How models are trained: plain fit, or a compiled epoch. Doors to Keras and what it runs on."""

from pipeline.training.surroundings import (
    BACKENDS,
    THREADS,
    accelerators,
    backend,
    machine,
    program_name,
    slots,
    unused_accelerators,
)

__all__ = [
    "BACKENDS",
    "THREADS",
    "accelerators",
    "backend",
    "machine",
    "program_name",
    "slots",
    "unused_accelerators",
]
