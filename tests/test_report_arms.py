"""What two compared settings have shown: a table of pairs, and one sentence."""

from __future__ import annotations

from dataclasses import replace

from findings import FIXED, made

from pipeline.report import arms, gains, tables
from pipeline.report.pages import markdown
from pipeline.report.sentences import answers
from pipeline.study.definition import Baseline

PRUNERS, UNITS = 'pruner = { choice = ["none", "median"] }', "hidden_units = { choice = [64, 128] }"
PAIRS = f"{FIXED}[compare]\n{PRUNERS}\n{UNITS}"


def test_of_two_settings_the_best_is_told_at_each_value_of_the_second() -> None:
    """The first setting's best value at each of the second's, and where its lead is resolved."""
    findings = made(compare=PAIRS)
    assert [one["at"] for one in findings.conclusion["arms"]] == ["64", "128"]
    assert answers(findings)[-1] == (
        "Which pruner confirmed best at each hidden_units, in validation accuracy: 64: none, 128: none. "
        "The difference to the next best is resolved at 64, 128 (over 5 seeds and the validation images)."
    )


def test_the_table_of_pairs_has_a_cell_for_each() -> None:
    """Rows are the second setting's values, columns the first's; the last tells the best's lead."""
    header, first, second = arms.table(made(compare=PAIRS))
    assert header == ("hidden_units", "none", "median", "The best before the next, 95 % interval")
    assert (first[:2], second[0]) == (("64", "98.41 % (98.37 to 98.45)"), "128")
    assert first[-1].startswith("none before median: +0.67 points, +0.")


def test_a_pair_without_a_confirmed_candidate_has_a_dash() -> None:
    """As when all of its trials were pruned; nothing leads there alone."""
    findings = made(compare=PAIRS)
    findings.conclusion["candidates"] = findings.conclusion["candidates"][:1]
    findings.conclusion["arms"] = [{"at": "64", "best": "none-64", "ahead_of": {}}]
    _, first, second = arms.table(findings)
    assert first[2:] == (*second[1:2], "-") == ("-", "-")
    assert second[1:] == ("-", "-", "-")


def test_the_pairs_are_drawn() -> None:
    """A line for each value of the first setting, a mark for each of the second, with its interval."""
    drawn = arms.figure(made(compare=PAIRS)).drawn
    assert [(line.name, list(line.x)) for line in drawn.data] == [("none", [64, 128]), ("median", [64, 128])]
    first = drawn.data[0]
    assert first.y[0] - first.error_y.arrayminus[0] < first.y[0] < first.y[0] + first.error_y.array[0] < 100
    assert arms.figure(made(compare=FIXED)) is None


def test_changes_of_the_baseline_are_listed_alone() -> None:
    """A candidate that changes one value of the baseline is told by that value, with its gain."""
    findings = made(compare=FIXED)
    for arm in findings.study.arms:
        object.__setattr__(arm.search, "sampler", "one_at_a_time")
    [header, row] = tables.candidates(findings)[:2]
    assert header[4] == "Over the baseline (95 % interval)"
    assert row[4].startswith("+0.67 points, ")
    text = markdown(findings)
    assert "Over the baseline" in text
    assert "Of 1 change of the baseline, each by itself, in validation accuracy over 5 seeds" in text
    assert "shown to help learning_rate " in text.replace("\\", "")


def test_a_change_is_told_without_what_it_switches_off() -> None:
    """Filters are of the cnn alone, so an mlp has not changed them; arms differ in more than one value."""
    findings = made(compare=FIXED)
    plain = {**findings.study.baseline.configuration, "model": "cnn"}
    search = findings.study.search.model_copy(update={"sampler": "grid"})
    findings = replace(findings, study=replace(findings.study, baseline=Baseline(plain), search=search))
    object.__setattr__(findings.study.arms[0].search, "sampler", "one_at_a_time")
    findings.conclusion["candidates"][0]["configuration"] = {**plain, "model": "mlp", "filters": 99}
    assert "shown to help model mlp; to harm none;" in gains.changes(findings)[0]
    compared = replace(findings, study=replace(findings.study, compared={"zoom": (0.0, 0.1)}))
    assert gains.changes(compared) == []
