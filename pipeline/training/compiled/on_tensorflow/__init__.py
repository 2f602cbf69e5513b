"""What the compiled program needs of TensorFlow."""

from pipeline.training.compiled.on_tensorflow.dense import Epochs, Network
from pipeline.training.compiled.on_tensorflow.layered import Layered, refusal
from pipeline.training.compiled.on_tensorflow.passes import Resident, metrics

__all__ = ["Epochs", "Layered", "Network", "Resident", "metrics", "refusal"]
