"""The frozen definition of a study, and every check of its file.

from pipeline.study import load
study = load(Path("studies/mnist-mlp/study.toml"))
"""

from pipeline.study.definition import Arm, Baseline, Confirm, Dataset, Objective, Search, Split, Study
from pipeline.study.reading import check_name, load, parse
from pipeline.study.template import template

__all__ = [
    "Arm",
    "Baseline",
    "Confirm",
    "Dataset",
    "Objective",
    "Search",
    "Split",
    "Study",
    "check_name",
    "load",
    "parse",
    "template",
]
