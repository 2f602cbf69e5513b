"""Hyperparameter studies of Keras image classifiers that people can believe."""
