"""A study file read into a frozen definition."""

import json
import re
from pathlib import Path

import pytest
from fakes import load, parse

from pipeline.errors import StudyError
from pipeline.files import digest
from pipeline.space import Dimension, Range
from pipeline.study import check_name, template

STUDY = """
question = "Which?"
dataset = "mnist"
seed = 1
[space]
learning_rate = { choice = [1, 0.1] }
[search]
trials = 4
"""


def study(*added: str, text: str = STUDY):
    """The study of `text` with lines added to it."""
    return parse("\n".join([text, *added]), "tiny")


def test_what_a_file_leaves_out_is_the_tutorials():
    """Without [baseline] and [fixed] the plain network of the tutorial is trained, for its 5 epochs."""
    plain = study()
    assert plain.baseline.configuration["hidden_units"] == plain.fixed["hidden_units"] == 128
    assert (plain.model, plain.trainer, plain.objective.metric) == ("mlp", "auto", "val_accuracy")
    assert plain.objective.is_maximized
    assert plain.arms[0].epochs == 5


def test_what_is_searched_is_not_fixed():
    """Every hyperparameter is either searched or fixed, never both, never neither."""
    names = {*study().fixed, *study().space.names}
    assert names == set(study().baseline.configuration)
    assert "learning_rate" not in study().fixed


def test_a_rate_of_one_is_a_float_wherever_it_stands():
    """1 and 1.0 are one rate: in a choice, a range, a baseline, a start, a comparison."""
    read = study("start_with = [{ learning_rate = 1 }]", "[baseline]", "learning_rate = 1")
    rates = [
        *read.space.dimensions[0].values.values,
        read.baseline.configuration["learning_rate"],
        read.search.start_with[0]["learning_rate"],
        *study("[compare]", "zoom = { choice = [0, 0.5] }").compared["zoom"],
    ]
    assert [type(rate) for rate in rates] == [float] * 6


def searched(entry: str):
    """What an entry of [space] becomes."""
    return study(text=STUDY.replace("learning_rate = { choice = [1, 0.1] }", entry)).space.dimensions[-1]


def test_an_entry_is_read_with_its_parent():
    """The kind is the key; a rate of 1 in a choice is 1.0, and so are the ends of a range and a parent's."""
    above = "learning_rate = { choice = [1, 0.1] }\n"
    entry = searched(above + "zoom = { float = [0, 0.5], when = { learning_rate = 1 } }")
    assert entry == Dimension("zoom", Range(0.0, 0.5, False), ("learning_rate", (1.0,)))
    assert [type(end) for end in (entry.values.low, entry.values.high, entry.parent[1][0])] == [float] * 3


@pytest.mark.parametrize("end", [0.3, 0.5])
def test_a_step_that_fits_as_written_is_accepted(end):
    """0.2 fits into [0.1, 0.3] although 0.3 - 0.1 is a little less than 0.2 in binary."""
    assert searched(f"dropout = {{ float = [0.1, {end}], step = 0.2 }}").values.points()[-1] == end


def test_the_centre_of_the_space_is_written_out_among_the_starts():
    """A range has its mean, the geometric on a log scale, a list its middle; what does not count is out."""
    text = f'model = "cnn"\n{STUDY}'.replace(
        "learning_rate = { choice = [1, 0.1] }",
        """\
learning_rate = { float = [1e-4, 1e-2], log = true }
batch_size = { choice = [32, 64, 128] }
dropout = { float = [0, 0.5] }
zoom = { float = [0.1, 0.4], step = 0.1 }
hidden_layers = { int = [1, 3] }
hidden_units = { int = [64, 512], step = 64 }
filters = { int = [2, 32], log = true, when = { hidden_layers = 2 } }
rotation = { float = [0.0, 0.1], when = { hidden_layers = 1 } }""",
    )
    centre, other = study('start_with = ["centre", { batch_size = 32 }]', text=text).search.start_with
    assert centre == {
        "learning_rate": 0.001,
        "batch_size": 64,
        "dropout": 0.25,
        "zoom": 0.3,
        "hidden_layers": 2,
        "hidden_units": 320,
        "filters": 8,
    }
    assert [type(value) for value in centre.values()] == [float, int, float, float, int, int, int]
    assert other == {"batch_size": 32}


def test_a_study_that_compares_nothing_has_one_arm():
    """Its sampler is the engine's first where the file names none, and it prunes nothing."""
    [arm] = study().arms
    assert (arm.name, arm.sampler, arm.pruner, arm.search.trials) == ("search", "tpe", "none", 4)


def test_each_compared_value_is_an_arm():
    """An arm is named after its value and differs from the others in that alone."""
    relu, tanh = study("[compare]", 'activation = { choice = ["relu", "tanh"] }').arms
    assert (relu.name, tanh.name) == ("relu", "tanh")
    assert {**relu.fixed, "activation": "tanh"} == tanh.fixed
    assert relu.search == tanh.search


def test_two_compared_settings_make_an_arm_for_each_pair():
    """Named after both values, the second changing fastest; one may be of the search, one of the model."""
    arms = study(
        "[compare]", 'sampler = { choice = ["tpe", "random"] }', "hidden_layers = { choice = [1, 3] }"
    ).arms
    assert [arm.name for arm in arms] == ["tpe-1", "tpe-3", "random-1", "random-3"]
    assert [(arm.sampler, arm.fixed["hidden_layers"]) for arm in arms[1:3]] == [("tpe", 3), ("random", 1)]
    assert arms[1].compared == {"sampler": "tpe", "hidden_layers": 3}


def test_one_at_a_time_starts_from_the_baseline():
    """Its points stand in the plan, so that another baseline is another search."""
    text = STUDY.replace("choice = [1, 0.1]", "choice = [0.001, 0.1]")
    [arm] = study('sampler = "one_at_a_time"', text=text).arms
    assert arm.search.start_with == [{"learning_rate": 0.1}]


def test_compared_engines_have_each_its_own_sampler():
    """The pruner of the file is Optuna's; Keras Tuner has none."""
    optuna, keras_tuner = study(
        'pruner = "median"', "[compare]", 'engine = { choice = ["optuna", "keras_tuner"] }'
    ).arms
    assert (optuna.sampler, optuna.pruner) == ("tpe", "median")
    assert (keras_tuner.sampler, keras_tuner.pruner) == ("bayesian", "none")


def test_a_study_with_few_trials_has_the_defaults_of_any():
    """A default is no more than may be used; the best of all arms together may be confirmed."""
    read = study("[compare]", 'activation = { choice = ["relu", "tanh"] }', "[confirm]", "top = 8")
    assert (read.search.trials, read.confirm.top) == (4, 8)
    few = study(text=STUDY.replace("trials = 4", "trials = 1"))
    assert (few.search.parallel, few.confirm.top) == (4, 3)


@pytest.mark.parametrize(
    "line",
    ['[baseline]\nmodel = "cnn"', '[compare]\nmodel = { choice = ["mlp", "cnn"] }', 'model = "cnn"'],
)
def test_a_family_that_the_file_names_brings_its_hyperparameters(line):
    """At the top, in the baseline, among the arms or in the space."""
    read = study(text=f"{line}\n{STUDY}" if line[0] == "m" else f"{STUDY}\n{line}")
    assert read.baseline.configuration["filters"] == 16
    assert "filters" not in study().baseline.configuration


def test_a_loss_is_minimized():
    """The objective's key is the direction, its value the metric."""
    read = study(text='objective = { minimize = "val_loss" }\n' + STUDY)
    assert (read.objective.metric, read.objective.is_maximized) == ("val_loss", False)


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ('"digits"', {"name": "digits"}),
        ('{ npz = "data/raw/mine.npz" }', {"npz": "data/raw/mine.npz"}),
        ('{ folder = "../Bilder äöü" }', {"folder": "../Bilder äöü"}),
    ],
)
def test_a_data_set_is_a_name_or_the_users_own(written, found):
    """The user's own images stand as a path to a file or a folder."""
    text = STUDY.replace('"mnist"', written)
    assert study(text=text).dataset.model_dump(exclude_none=True) == found


def test_a_baseline_value_that_does_not_count_may_lie_outside():
    """Filters of a baseline without filters are never compared with anything."""
    hung = 'model = { choice = ["mlp", "cnn"] }\nfilters = { int = [16, 32], when = { model = "cnn" } }'
    text = STUDY.replace("[space]", f"[space]\n{hung}")
    assert study("[baseline]", "filters = 8", text=text).baseline.configuration["filters"] == 8
    with pytest.raises(StudyError, match=re.escape("[baseline] filters: must lie inside the space")):
        study("[baseline]", "filters = 8", 'model = "cnn"', text=text)


def test_a_plan_is_json_and_the_same_each_time():
    """What stages depend on can be written, compared and fingerprinted."""
    plan = study().plan()
    assert digest(json.loads(json.dumps(plan, allow_nan=False))) == digest(study().plan())
    assert set(plan) == {"prepare", "baseline", "search", "confirm", "report"}


@pytest.mark.parametrize(
    ("old", "new", "stages"),
    [
        ("seed = 1", "seed = 1 # as good as any", set()),
        ("[1, 0.1]", "[1.0, 0.1]", set()),
        ("[search]", "[confirm]\ntop = 3\n[search]", set()),
        ("Which?", "Which one?", {"report"}),
        ("trials = 4", "trials = 5", {"search"}),
        ("[1, 0.1]", "[0.1, 1]", {"search"}),
        ("[search]", "[confirm]\ntop = 2\n[search]", {"confirm"}),
        ("[search]", "[split]\nval = 0.1\n[search]", {"prepare"}),
        ("[search]", "[baseline]\nlearning_rate = 1\n[search]", {"baseline", "confirm"}),
        ("seed = 1", "seed = 2", {"prepare", "baseline", "search", "confirm"}),
    ],
)
def test_an_edit_reruns_the_stages_that_it_concerns(old, new, stages):
    """A comment reruns nothing, the question the report, a space the search."""
    before, after = study().plan(), study(text=STUDY.replace(old, new)).plan()
    assert {stage for stage in before if before[stage] != after[stage]} == stages


def test_a_study_is_named_after_its_folder(tmp_path, monkeypatch):
    """The file's own text, Windows line ends and all, is kept for the record."""
    path = tmp_path / "mnist-mlp" / "study.toml"
    path.parent.mkdir()
    path.write_bytes(STUDY.replace("\n", "\r\n").encode())
    assert load(path).name == "mnist-mlp"
    assert load(path).text.encode() == path.read_bytes()
    monkeypatch.chdir(path.parent)
    assert load(path.relative_to(path.parent)) == load(path)


def test_the_template_is_a_study_without_problems():
    """A new study can be run as it is, on data that needs no download."""
    read = parse(template("my-study"), "my-study")
    assert (read.dataset.name, read.search.trials) == ("mnist-sample", 12)
    assert "dvc repro report@my-study" in read.text


def test_the_study_file_of_the_readme_is_a_study_without_problems():
    """Who copies it whole may run it."""
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    text = readme.split("```toml\n")[1].split("```")[0]
    assert [arm.name for arm in parse(text, "pets").arms] == ["tpe", "random"]


def test_what_the_template_comments_out_works_too():
    """Taking the # from its comparison makes a study with two arms."""
    text = re.sub(r"^# (\[compare\]|activation)", r"\1", template("x"), flags=re.MULTILINE)
    assert [arm.name for arm in parse(text, "x").arms] == ["relu", "sigmoid"]


def test_the_template_shows_every_table():
    """A user sees there what a study file can say."""
    for table in ("split", "baseline", "fixed", "compare", "space", "search", "confirm"):
        assert f"[{table}]" in template("x")


@pytest.mark.parametrize("name", ["a", "0", "mnist-mlp", "a_b-c", "x" * 64])
def test_a_plain_name_may_name_a_study(name):
    """Small letters, digits, dashes and underscores, 64 at most."""
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a/b",
        "a b",
        "..",
        ".",
        "x" * 600,
        "-a",
        "A",
        "a\n",
        "ü",
        "a;b",
        "$(a)",
        "${a}",
        "a\x00",
        "raw",
        "/",
    ],
)
def test_a_name_that_could_be_more_than_a_name_is_refused(name):
    """A study's name becomes a folder and a word in a shell line, so it is nothing else."""
    message = "study name: a study's name must match [a-z0-9][a-z0-9_-]{0,63} and not be 'raw'.\nReceived: '"
    for refusing in (check_name, template):
        with pytest.raises(StudyError, match=re.escape(message)):
            refusing(name)
