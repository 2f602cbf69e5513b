"""Time to target: how long a search takes until it first holds a network of a given validation accuracy.

Run     STUDY_RAW_MNIST=<folder of the four MNIST files> python -m benchmarks.target
Try     python -m benchmarks.target --sample --seeds 1 --minutes 2
Writes  the entry `seconds_to_target` of benchmarks/results.json; with --sample it only prints
Needs   ray for ray_tune; it is left out where the package is missing

Each search is the one that its users begin with: Keras Tuner's Hyperband, Optuna's TPE with its median
pruner, Ray Tune's ASHA, and what `study new` writes for this project, which tries the centre of the space
first; all over the same space and images, for at most 20 epochs a trial, by turns. All are credited with an
accuracy when an epoch has reached it: the peers as soon as it ends, this project when its search is handed
the result, which is later.
"""
