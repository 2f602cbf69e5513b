"""The frozen definition of a study, and every check of its file.

study = load(Path("studies/mnist-mlp/study.toml"), LEARNERS)
"""

from pipeline.study.definition import Arm, Baseline, DataShape, Direction, Learner, Learners, Study
from pipeline.study.reading import check_name, load, parse, template
from pipeline.study.tables import Confirm, Dataset, Objective, Search, Split

__all__ = [
    "Arm",
    "Baseline",
    "Confirm",
    "DataShape",
    "Dataset",
    "Direction",
    "Learner",
    "Learners",
    "Objective",
    "Search",
    "Split",
    "Study",
    "check_name",
    "load",
    "parse",
    "template",
]
