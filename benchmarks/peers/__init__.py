"""Whole searches by the loops that people write and by this project, on one list of configurations.

Run     STUDY_RAW_MNIST=<folder of the four MNIST files> python -m benchmarks.peers [--minutes 60]
Try     python -m benchmarks.peers --sample --trials 2 --epochs 1 --repeats 1
Writes  benchmarks/results.json, TABLE.md and chart.svg; with --sample into a temporary folder
Needs   jax for optuna_tuned_jax, ray for ray_tune; each is left out where its package is missing

Every contestant is a fresh process, measured from its start to its end: imports, building, training,
validating, recording. They run by turns, each round begun by another. All read the same list and the same
prepared images, and train for the same epochs.
"""
