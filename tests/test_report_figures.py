"""The figures of a report: each shows the numbers that its title promises."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from findings import FIXED, made
from PIL import Image

from pipeline.report import Findings, figures, html
from pipeline.report.drawing import PALETTE, Figure, span


def traces(figure: Figure) -> dict[str, Any]:
    """What is drawn, by name."""
    assert figure.drawn is not None
    return {trace.name: trace for trace in figure.drawn.data}


def test_best_so_far_never_falls() -> None:
    """The line of an arm is the running best of its complete trials, drawn to the last trial."""
    findings = made()
    line = traces(figures.history(findings))["Best so far of optuna"]
    scores = findings.of_arm("optuna")["score"].where(findings.of_arm("optuna")["state"] == "complete")
    assert line.y == pytest.approx((100 * scores.cummax().ffill()).tolist(), rel=1e-5)
    assert len(line.x) == 24


def test_best_so_far_never_rises_when_less_is_better() -> None:
    """With a loss as objective the running best falls, and the axis counts no percent."""
    figure = figures.history(made(objective='minimize = "val_loss"'))
    line = traces(figure)["Best so far of keras_tuner"]
    assert list(line.y) == sorted(line.y, reverse=True)
    assert figure.drawn.layout.yaxis.title.text == "Validation loss"


def test_the_baseline_is_a_level_line() -> None:
    """The baseline's confirmed mean runs through the whole history."""
    [baseline] = figures.history(made()).drawn.layout.shapes
    assert (baseline.y0, baseline.y1) == pytest.approx((97.74, 97.74))


def test_one_bad_trial_does_not_flatten_the_rest() -> None:
    """A diverged trial is left below the edge and the caption says so."""
    findings = made()
    findings.trials.loc[0, "score"] = 0.098
    for figure in (figures.history(findings), figures.slices(findings)):
        assert figure.drawn.layout.yaxis.range[0] > 80
        assert "1 trial beyond the edge: double-click to see all." in figure.caption


def test_pruned_curves_are_thin() -> None:
    """A pruned trial's curve is thinner than a complete one's, the winner's thickest; a failed one dotted."""
    lines = {name: trace.line for name, trace in traces(figures.curves(made())).items()}
    winner, complete = lines["optuna, trial 7, complete"], lines["optuna, trial 0, complete"]
    assert lines["optuna, trial 2, pruned"].width < complete.width < winner.width
    assert lines["optuna, trial 5, failed"].dash == "dot"


def test_curves_hold_every_epoch_of_every_trial() -> None:
    """All that was trained is drawn, pruned and failed trials too."""
    findings = made()
    drawn = [value for trace in traces(figures.curves(findings)).values() for value in trace.y]
    assert sorted(drawn) == pytest.approx(sorted(100 * findings.curves["val_accuracy"]))


def test_of_many_curves_some_are_drawn() -> None:
    """However many trials there are, a few hundred curves keep the page quick; the winner's is among them."""
    figure = figures.curves(made(num_trials=150))
    assert "Of every 2 trials one is drawn." in figure.caption
    [winner] = [trace for trace in traces(figure).values() if trace.line.width == 3]
    assert len(traces(figure)) in (150, 151)
    assert winner.name.startswith("optuna")


def test_no_curves_are_explained() -> None:
    """Where no epoch ended the page says why the figure is missing."""
    findings = made()
    figure = figures.curves(replace(findings, curves=findings.curves.iloc[:0]))
    assert (figure.drawn, figure.caption) == (None, "Not shown: no trial finished an epoch.")


def test_an_arm_without_complete_trials_has_no_best() -> None:
    """Its curves are drawn all the same, and the other arm keeps its colour."""
    findings = made()
    findings.trials.loc[findings.trials["arm"] == "optuna", "state"] = "pruned"
    drawn = traces(figures.history(findings))
    assert not np.isfinite(drawn["Best so far of optuna"].y).any()
    assert drawn["Best so far of keras_tuner"].line.color == PALETTE[1]
    assert "optuna, trial 7, pruned" in traces(figures.curves(findings))


def test_importance_finds_what_matters() -> None:
    """The made-up score depends on the learning rate above all, and the figure says so."""
    figure = figures.importance(made())
    assert figure.drawn.data[0].y[-1] == "learning_rate"
    assert "the forest explains 82 % of the variance" in figure.caption


def test_importance_of_few_trials_is_not_shown() -> None:
    """Fewer than 10 complete trials tell nothing, and the page says so."""
    figure = figures.importance(made(compare=FIXED, num_trials=9))
    assert figure.drawn is None
    assert figure.caption.startswith("Not shown: 6 complete trials cannot tell")


def test_importance_without_spread_is_not_shown() -> None:
    """Equal scores leave nothing to explain."""
    findings = made()
    findings.trials["score"] = 0.5
    assert "all complete trials have the same score" in figures.importance(findings).caption


def test_importance_admits_that_it_explains_nothing() -> None:
    """A forest that fails on unseen trials is not presented as knowledge."""
    findings = made()
    findings.trials["score"] = np.random.default_rng(0).random(len(findings.trials))
    assert "next to nothing: do not trust this figure" in figures.importance(findings).caption


def panels(findings: Findings) -> dict[str, tuple[Any, Any]]:
    """Of each hyperparameter its axis and what is drawn over it."""
    drawn = figures.slices(findings).drawn
    axes = drawn.select_xaxes()
    return {axis.title.text: (axis, points) for axis, points in zip(axes, drawn.data, strict=True)}


def test_log_ranges_have_log_axes() -> None:
    """A learning rate that is searched on a log scale is drawn on one, value by value."""
    axis, points = panels(made())["learning_rate"]
    assert axis.type == "log"
    assert sorted(points.x) == sorted(made().complete()["learning_rate"])


def test_choices_and_arms_have_their_words() -> None:
    """Choices stand in the order of the study file, arms with them."""
    shown = panels(made())
    assert shown["batch_size"][0].ticktext == ("32", "64", "128")
    assert shown["engine"][0].ticktext == ("optuna", "keras_tuner")
    assert len(shown["engine"][1].x) == len(made().complete())


def test_a_trial_is_in_no_panel_of_what_does_not_count_in_it() -> None:
    """The panel of a conditional hyperparameter holds the trials that used it."""
    findings = made()
    _, points = panels(findings)["filters"]
    assert sorted(points.x) == sorted(findings.complete()["filters"].dropna())


def test_one_trial_has_no_values_to_compare() -> None:
    """A single trial has nothing to be compared with."""
    assert figures.slices(made(compare=FIXED, num_trials=1)).drawn is None


def test_the_confusion_matrix_shows_all_counts() -> None:
    """Every count is there; mistakes are coloured by the share of their true class, right answers are not."""
    findings = made()
    [cells] = figures.confusion(findings).drawn.data
    counts = np.array(findings.conclusion["winner"]["confusion"])
    assert np.array_equal(cells.customdata, counts)
    assert cells.text[3][3] == str(counts[3, 3])
    assert np.array_equal(np.diag(cells.z), np.zeros(10))
    assert cells.z[0][1] == pytest.approx(100 * counts[0, 1] / counts[0].sum())


def test_many_classes_are_not_all_named() -> None:
    """A hundred classes keep their cells but name every fourth one."""
    figure = figures.confusion(made(classes=[f"class {index}" for index in range(100)])).drawn
    assert figure.data[0].text is None
    assert figure.layout.xaxis.ticktext[:2] == ("class 0", "class 4")


def first_image(images: np.ndarray) -> np.ndarray:
    """The first image of the page, where the winner gets these images wrong."""
    page = html(replace(made(compare=FIXED, num_trials=5), mistakes=[(image, 2, 3) for image in images]))
    assert "<figcaption>2 &rarr; <b>3</b></figcaption>" in page
    content = re.findall('image/png;base64,(.*?)"', page)[0]
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


@pytest.mark.parametrize("channels", [1, 3])
def test_misclassified_images_keep_their_pixels(channels: int) -> None:
    """A small image is inlined as it is, grey or in colour, with its true and its predicted class."""
    images = np.random.default_rng(1).integers(0, 256, (6, 20, 30, channels)).astype(np.uint8)
    assert np.array_equal(first_image(images), images[0].squeeze())


def test_large_images_are_made_small() -> None:
    """A photograph does not make the page heavy."""
    assert first_image(np.zeros((1, 640, 320, 3), dtype=np.uint8)).shape == (160, 80, 3)


def test_span_leaves_out_only_what_is_far_out() -> None:
    """Values within 3 times the spread of the middle half stay, whatever the direction."""
    values = np.array([1.0, 2.0, 3.0, 4.0, 100.0, np.nan])
    assert span(values, True)[1] > 100
    assert 4 < span(values, False)[1] < 5
    assert span(values, False, 9.0)[1] > 9
