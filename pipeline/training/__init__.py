"""Doors to Keras: trainers behind one admit, advance, evict, whose order of results is a virtual clock's.

with Processes(settings(...), places(), folder) as crew:
    trainer = VirtualTrainer(crew, price, recorded)
"""

from pipeline.training.clock import Crew, VirtualTrainer
from pipeline.training.crew import Processes
from pipeline.training.machine import (
    BACKENDS,
    THREADS,
    accelerators,
    backend,
    machine,
    places,
    program_name,
    slots,
)

__all__ = [
    "BACKENDS",
    "THREADS",
    "Crew",
    "Processes",
    "VirtualTrainer",
    "accelerators",
    "backend",
    "machine",
    "places",
    "program_name",
    "slots",
]
