"""Which model is put in use, and that the same conclusion always leads to the same decision."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.stages import champion
from pipeline.tracking.registry import Champion

# Far above and hardly above what a baseline of 0.9 gives.
GOOD, FAIR = [0.981, 0.982, 0.983], [0.951, 0.952, 0.953]
DATA = "d" * 64


def conclusion(accuracies=GOOD, low=0.05, high=0.09, metric="test_accuracy"):
    """What confirm has concluded of a winner."""
    winner = {
        "configuration": {"dropout": 0.1},
        "test_accuracies": accuracies,
        "test_accuracy": {"mean": sum(accuracies) / len(accuracies)},
        "median_repeat": 1,
    }
    baseline = {"test_accuracy": {"mean": 0.9}}
    return {
        "objective": "val_accuracy",
        "repeats": len(accuracies),
        "winner": winner,
        "baseline": baseline,
        "difference": {"mean": (low + high) / 2, "low": low, "high": high},
        "judged": {"metric": metric, "winner": accuracies, "gain": {"low": low, "high": high}},
    }


@pytest.fixture
def registry(monkeypatch):
    """A registry in memory: its versions by number, and which one is in use."""
    kept = SimpleNamespace(versions={}, in_use=None)

    def in_use(_uri, _study):
        return None if kept.in_use is None else Champion(kept.in_use, kept.versions[kept.in_use])

    def register(*_, fingerprint, tags, description, **__):
        for number, known in kept.versions.items():
            if known["fingerprint"] == fingerprint:
                return SimpleNamespace(version=number)
        kept.versions[len(kept.versions) + 1] = {**tags, "fingerprint": fingerprint, "about": description}
        return SimpleNamespace(version=len(kept.versions))

    def promote(_uri, _study, number):
        kept.in_use = number

    for name, fake in {"champion": in_use, "register_winner": register, "promote": promote}.items():
        monkeypatch.setattr(champion, name, fake)
    for name in ("stage_facts", "_example", "_requirements"):
        monkeypatch.setattr(champion, name, lambda *_: ())
    return kept


def decide(found, data=DATA):
    """The decision on what was found, on data with this SHA-256."""
    project = SimpleNamespace(tracking_uri="", artifacts=None, openings=lambda _: Path("none-yet"))
    context = SimpleNamespace(project=project, study=SimpleNamespace(name="tiny"), card={"sha256": data})
    return champion.decide(context, SimpleNamespace(key="0123"), found, None)


def test_the_first_winner_that_beats_the_baseline_is_put_in_force(registry):
    """The reason gives the interval, in points of accuracy."""
    assert decide(conclusion()) == {
        "granted": True,
        "reason": "it beats the baseline (+5.00 to +9.00 points of test accuracy over the baseline), "
        "and no other model is in use",
    }
    assert registry.in_use == 1


@pytest.mark.parametrize(("low", "high"), [(-0.01, 0.09), (0.0, 0.0), (0.0, 0.09), (-0.09, -0.01)])
def test_a_winner_that_may_be_no_better_than_the_baseline_is_not(registry, low, high):
    """An interval that includes zero, or lies below it, puts nothing in use; the model is registered."""
    decision = decide(conclusion(low=low, high=high))
    assert decision["granted"] is False
    assert decision["reason"] == (
        f"its 95 % interval, {100 * low:+.2f} to {100 * high:+.2f} points of test accuracy "
        "over the baseline, does not exclude zero"
    )
    assert (registry.in_use, list(registry.versions)) == (None, [1])


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    ("metric", "gain"),
    [
        ("test_macro_f1", "+5.00 to +9.00 points of test macro f1"),
        ("test_loss", "+0.0500 to +0.0900 nats less test loss"),
    ],
)
def test_the_studys_own_metric_judges(metric, gain):
    """The reason says by how much of what; what was judged by another metric stays until it is removed."""
    assert gain in decide(conclusion(metric=metric))["reason"]
    decision = decide(conclusion(FAIR))
    assert (decision["granted"], "judged by another metric" in decision["reason"]) == (False, True)


def test_a_version_says_which_model_it_is_and_what_that_one_does(registry):
    """The median repeat's own test accuracy stands beside the mean of all repeats."""
    decide(conclusion([0.97, 0.99, 0.92]))
    version = registry.versions[1]
    assert (version["repeat"], version["own_test_accuracy"], version["test_accuracy"]) == (
        "1",
        "0.99",
        "0.96",
    )
    assert version["about"].endswith("Its own test accuracy is 99.00 %, the mean of all 96.00 %.")


def test_a_better_model_takes_the_place_of_the_one_in_force(registry):
    """It must beat the baseline and that model, each by its interval."""
    decide(conclusion(FAIR))
    decision = decide(conclusion(GOOD))
    assert decision["granted"] is True
    assert decision["reason"].endswith("and the model that was in use")
    assert registry.in_use == 2


def test_a_model_that_does_not_beat_the_one_in_force_does_not_take_its_place(registry):
    """The reason gives the interval over that version."""
    decide(conclusion(GOOD))
    decision = decide(conclusion(FAIR))
    assert decision["granted"] is False
    assert decision["reason"].startswith("its 95 % interval, -3.")
    assert decision["reason"].endswith(
        "points of test accuracy over version 1, in use, does not exclude zero"
    )
    assert registry.in_use == 1


@pytest.mark.usefixtures("registry")
def test_the_lead_over_the_one_in_force_is_welchs():
    """Two samples of three with the same spread: the mean difference ± t(4 degrees) · sqrt(2/3) · 0.001."""
    decide(conclusion(FAIR))
    half = 100 * 2.7764451051977987 * (2 / 3) ** 0.5 * 0.001
    decision = decide(conclusion([value + 0.0005 for value in FAIR]))
    assert (
        f"{0.05 - half:+.2f} to {0.05 + half:+.2f} points of test accuracy over version 1"
        in decision["reason"]
    )


def test_a_model_measured_on_other_data_stays_until_a_person_removes_it(registry):
    """Accuracies on different images cannot be compared; the reason says what to do."""
    decide(conclusion(FAIR))
    decision = decide(conclusion(GOOD), data="e" * 64)
    assert decision == {
        "granted": False,
        "reason": "version 1, in use, was measured on other data; "
        "remove its alias champion to let this one in",
    }
    assert registry.in_use == 1


@pytest.mark.parametrize(
    "before",
    [
        [],
        [conclusion(FAIR)],
        [conclusion([0.99, 0.991, 0.992])],
        [conclusion(FAIR, low=-1.0)],
    ],
    ids=["first", "beats", "beaten", "alone"],
)
def test_judged_again_the_verdict_is_the_same(registry, before):
    """To the letter, whether it was put in use or not; nothing is registered twice."""
    for found in before:
        decide(found)
    decision = decide(conclusion())
    versions = json.dumps(registry.versions)
    assert [decide(conclusion()) for _ in range(2)] == [decision] * 2
    assert json.dumps(registry.versions) == versions


def test_a_model_that_a_person_put_in_force_is_one_to_beat(registry):
    """A version without tags was measured on nobody knows what."""
    registry.versions[1] = {"fingerprint": ""}
    registry.in_use = 1
    assert decide(conclusion())["reason"].startswith("version 1, in use, was measured on other data")
