"""A network with a training loop of its own: each batch is mixed with another one (mixup)."""

import keras
import numpy as np


def build(config, input_shape, num_classes):
    """Raw pixels in, class probabilities out."""
    layers = [keras.Input(input_shape), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    dense = [(config["width"], "relu"), (num_classes, "softmax")]
    return keras.Sequential(layers + [keras.layers.Dense(*each) for each in dense])


def train(model, config, data):
    """Metrics after each epoch. Zhang et al. (2018), "mixup: Beyond Empirical Risk Minimization"."""
    (inputs, labels), (val_inputs, val_labels) = data.train, data.val
    targets = np.eye(data.num_classes, dtype="float32")[labels]
    model.compile(keras.optimizers.Adam(config["learning_rate"]), "categorical_crossentropy")
    while True:
        share = np.random.beta(config["mix"], config["mix"])
        order, others = (np.random.permutation(len(labels)) for _ in range(2))
        mixed = [share * one[order] + (1 - share) * one[others] for one in (inputs, targets)]
        model.fit(*mixed, config["batch_size"], verbose=0)
        yield {"val_accuracy": (model.predict(val_inputs, verbose=0).argmax(axis=1) == val_labels).mean()}
