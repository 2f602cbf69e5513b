"""A small convolutional network with a residual connection and an optimizer of its own."""

import keras
from keras import layers


def build(config, input_shape, num_classes):
    """Raw pixels in, class probabilities out."""
    inputs = keras.Input(input_shape)
    hidden = layers.Rescaling(1 / 255)(inputs)
    hidden = layers.Conv2D(config["filters"], 3, padding="same", activation="relu")(hidden)
    for _ in range(config["blocks"]):
        inner = layers.Conv2D(config["filters"], 3, padding="same")(hidden)
        inner = layers.BatchNormalization()(inner)
        hidden = layers.Activation("relu")(layers.add([hidden, inner]))
    hidden = layers.GlobalAveragePooling2D()(hidden)
    outputs = layers.Dense(num_classes, activation="softmax")(layers.Dropout(config["dropout"])(hidden))
    model = keras.Model(inputs, outputs)
    optimizer = keras.optimizers.AdamW(config["rate"], weight_decay=config["decay"])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
