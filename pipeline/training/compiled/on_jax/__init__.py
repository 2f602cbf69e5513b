"""What the compiled program needs of JAX."""

from pipeline.training.compiled.on_jax.dense import Epochs, Network
from pipeline.training.compiled.on_jax.layered import Layered, refusal
from pipeline.training.compiled.on_jax.packed import Packs
from pipeline.training.compiled.on_jax.passes import Resident, metrics

__all__ = ["Epochs", "Layered", "Network", "Packs", "Resident", "metrics", "refusal"]
