"""The pictures of a report: each shows the numbers that its title promises."""

from __future__ import annotations

import base64
import io
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from test_report import FIXED, made

from pipeline.report import canvas, influence, mistakes, progress
from pipeline.report.findings import Findings


def test_best_so_far_never_falls() -> None:
    """The line of an arm is the running best of its complete trials, drawn to the last trial."""
    findings = made()
    line = next(t for t in progress.history(findings).figure.data if t.name == "optuna, best so far")
    complete = findings.of_arm(findings.complete(), "optuna")
    expected = 100 * complete["score"].cummax()
    assert line.y[:-1] == pytest.approx(expected.tolist(), rel=1e-5)
    assert (line.x[-1], line.y[-1]) == (23, line.y[-2])


def test_best_so_far_never_rises_when_less_is_better() -> None:
    """With a loss as objective the running best falls, and the axis has its unit."""
    figure = progress.history(made(objective='minimize = "val_loss"')).figure
    line = next(t for t in figure.data if t.name == "keras_tuner, best so far")
    assert list(line.y) == sorted(line.y, reverse=True)
    assert figure.layout.yaxis.title.text == "Validation loss (cross-entropy, nats)"


def test_the_baseline_is_a_level_line() -> None:
    """The baseline's confirmed mean runs through the whole history."""
    baseline = progress.history(made()).figure.data[-1]
    assert baseline.y == pytest.approx((97.74, 97.74))


def test_one_bad_trial_does_not_flatten_the_rest() -> None:
    """A diverged trial is left below the edge and the caption says so."""
    findings = made()
    findings.trials.loc[0, "score"] = 0.098
    picture = progress.history(findings)
    assert picture.figure.layout.yaxis.range[0] > 80
    assert "1 trial beyond the edge: double-click to see all." in picture.caption
    assert "1 score beyond the edge drawn at the edge." in influence.parallel(findings).caption


def test_pruned_curves_are_thin() -> None:
    """A pruned trial's curve is thinner than a complete one's, the winner's thickest."""
    *others, winner = progress.curves(made()).figure.data
    widths = {re.split(", ?", trace.hovertemplate)[1]: trace.line.width for trace in others}
    assert widths["pruned"] < widths["complete"] < winner.line.width


def test_curves_hold_every_epoch_of_every_trial() -> None:
    """Between the gaps of the drawn lines stand all epochs that were trained, and the winner's again."""
    findings = made()
    drawn = [value for trace in progress.curves(findings).figure.data for value in trace.y if value]
    assert len(drawn) == len(findings.curves) + 6


def test_no_curves_are_explained() -> None:
    """Where no epoch ended the page says why the picture is missing."""
    findings = made()
    picture = progress.curves(replace(findings, curves=findings.curves.iloc[:0]))
    assert (picture.figure, picture.caption) == (None, "Not shown: no trial finished an epoch.")


def test_an_arm_without_complete_trials_is_drawn() -> None:
    """Its pruned trials are shown; it has no best so far."""
    findings = made()
    findings.trials.loc[findings.trials["arm"] == "optuna", "state"] = "pruned"
    names = [trace.name for trace in progress.history(findings).figure.data]
    assert "keras_tuner, best so far" in names
    assert "optuna, best so far" not in names


def test_arms_may_be_numbers() -> None:
    """A CSV file makes numbers of arms named 1 and 2; their trials are still theirs."""
    findings = made(compare=FIXED + "[compare]\nhidden_layers = { choice = [1, 2] }")
    for frame in (findings.trials, findings.curves):
        frame["arm"] = frame["arm"].astype(int)
    assert len(progress.history(findings).figure.data[0].x) == 16
    assert len(progress.curves(findings).figure.data[-1].x) == 6


def test_importance_finds_what_matters() -> None:
    """The made-up score depends on the learning rate above all, and the picture says so."""
    picture = influence.importance(made())
    assert picture.figure.data[0].y[-1] == "learning_rate"
    assert "the forest explains 82 % of the variance" in picture.caption


def test_importance_of_few_trials_is_not_shown() -> None:
    """Fewer than 10 complete trials tell nothing, and the page says so."""
    picture = influence.importance(made(compare=FIXED, num_trials=9))
    assert picture.figure is None
    assert picture.caption.startswith("Not shown: 6 complete trials cannot tell")


def test_importance_without_spread_is_not_shown() -> None:
    """Equal scores leave nothing to explain."""
    findings = made()
    findings.trials["score"] = 0.5
    assert "all complete trials have the same score" in influence.importance(findings).caption


def test_importance_admits_that_it_explains_nothing() -> None:
    """A forest that fails on unseen trials is not presented as knowledge."""
    findings = made()
    findings.trials["score"] = np.random.default_rng(0).random(len(findings.trials))
    assert "next to nothing: do not trust this picture" in influence.importance(findings).caption


def _axes(findings: Findings) -> dict[str, object]:
    [trace] = influence.parallel(findings).figure.data
    return {axis.label: axis for axis in trace.dimensions}


def test_log_ranges_have_log_axes() -> None:
    """A learning rate of 0.001 in [0.0001, 0.01] stands in the middle, and the ticks name whole powers."""
    axis = _axes(made())["learning_rate"]
    assert axis.ticktext == ("0.0001", "0.001", "0.01")
    assert axis.tickvals == pytest.approx((-4, -3, -2))
    assert axis.values[0] == pytest.approx(math.log10(made().complete()["learning_rate"].iloc[0]), rel=1e-5)


def test_choices_and_arms_have_their_words() -> None:
    """Choices are evenly spaced in the order of the study file, arms with them."""
    axes = _axes(made())
    assert axes["batch_size"].ticktext == ("32", "64", "128")
    assert axes["engine"].ticktext == ("optuna", "keras_tuner")
    assert set(axes["engine"].values) == {0, 1}


def test_what_does_not_count_has_its_own_place() -> None:
    """A conditional hyperparameter that does not count lies below the range, marked as not used."""
    findings = made()
    axis = _axes(findings)["filters"]
    unused = findings.complete()["filters"].isna().to_numpy()
    assert axis.ticktext[0] == "not used"
    assert np.allclose(np.array(axis.values)[unused], axis.tickvals[0])
    assert (np.array(axis.values)[~unused] >= 8).all()


def test_parallel_coordinates_need_two_trials() -> None:
    """A single trial has nothing to be compared with."""
    assert influence.parallel(made(compare=FIXED, num_trials=1)).figure is None


def test_the_confusion_matrix_shows_the_evidence() -> None:
    """All counts are there, mistakes coloured by the share of their true class, right answers apart."""
    findings = made()
    wrong, right = mistakes.confusion(findings).figure.data
    counts = np.array(findings.evidence["winner"]["confusion"])
    assert np.array_equal(wrong.customdata, counts)
    assert wrong.z[0][0] is None
    assert wrong.z[0][1] == pytest.approx(100 * counts[0, 1] / counts[0].sum())
    assert right.text[3][3] == str(counts[3, 3])


def test_many_classes_are_not_all_named() -> None:
    """A hundred classes keep their cells but name every fourth one."""
    figure = mistakes.confusion(made(classes=[f"class {index}" for index in range(100)])).figure
    assert figure.data[0].text is None
    assert figure.layout.xaxis.ticktext[:2] == ("class 0", "class 4")


def _first_image(images: np.ndarray) -> np.ndarray:
    page = mistakes.misclassified(replace(made(), misclassified_images=images))
    content = re.findall('base64,(.*?)"', page)[0]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


@pytest.mark.parametrize("channels", [1, 3])
def test_misclassified_images_keep_their_pixels(channels: int) -> None:
    """A small image is inlined as it is, grey or in colour."""
    images = np.random.default_rng(1).integers(0, 256, (6, 20, 30, channels)).astype(np.uint8)
    assert np.array_equal(_first_image(images), images[0].squeeze())


def test_large_images_are_made_small() -> None:
    """A photograph does not make the page heavy."""
    assert _first_image(np.zeros((6, 640, 320, 3), dtype=np.uint8)).shape == (160, 80, 3)


def test_captions_name_truth_and_prediction() -> None:
    """Each image says what it is and what it was taken for."""
    assert "<figcaption>2 &rarr; <b>3</b></figcaption>" in mistakes.misclassified(made())


def test_span_leaves_out_only_what_is_far_out() -> None:
    """Values within 3 times the spread of the middle half stay, whatever the direction."""
    values = np.array([1.0, 2.0, 3.0, 4.0, 100.0, np.nan])
    assert canvas.span(values, True)[1] > 100
    assert 4 < canvas.span(values, False)[1] < 5
    assert canvas.span(values, False, 9.0)[1] > 9
