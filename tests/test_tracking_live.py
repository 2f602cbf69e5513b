"""What a stage promises while a view is away, refuses, hangs or lies."""

import threading

import fakes
import pytest

from pipeline.tracking.live import Live

URI = "http://me:s3cret@tracking.example:5000"


class Fake:
    """A view that takes everything, unless `trouble` throws first."""

    def __init__(self, trouble=lambda _what: None):
        self.trouble, self.taken = trouble, []

    def begin(self, trial):
        self._take(f"begin {trial.number}")

    def put(self, outcome):
        self._take(f"put {outcome.trial.number}")

    def finish(self, ended):
        self._take(ended)
        yield

    def close(self):
        self.taken.append("closed")

    def _take(self, what):
        self.trouble(what)
        self.taken.append(what)


def shown(view, numbers=range(2), patience=20.0):
    """What a view is told of these trials: whether it took all, and what was said."""
    said = []
    window = Live("It", URI, lambda: view, said.append)
    for number in numbers:
        window.begin(fakes.trial(number))
        window.put(fakes.outcome(number, 0.5))
    return window.close("done", patience), said


def test_everything_is_told_in_its_order():
    """From one thread, to the end, which lets go of the store."""
    view = Fake()
    assert shown(view) == (True, [])
    assert view.taken == ["begin 0", "put 0", "begin 1", "put 1", "done", "closed"]


def test_the_first_failure_is_said_once_and_ends_the_writing():
    """One sentence, without the password; nothing is tried again, and who trains hears of no error."""

    def trouble(what):
        if what == "put 0":
            raise ConnectionError(f"API request to {URI}/api/2.0 failed")

    view = Fake(trouble)
    is_whole, [line] = shown(view, range(50))
    assert not is_whole
    assert line.startswith(
        "It cannot be written (ConnectionError: API request to http://***@tracking.example"
    )
    assert "s3cret" not in line
    assert view.taken == ["begin 0", "closed"]


def test_a_view_that_hangs_is_given_up():
    """Telling it returns at once; at the end it is waited for while it shows signs of life, and no longer."""
    answer = threading.Event()
    view = Fake(lambda _what: answer.wait(60))
    is_whole, said = shown(view, range(1_000), patience=0.2)
    answer.set()
    assert (is_whole, said) == (False, ["It cannot be written (TimeoutError: no answer)."])


def test_long_work_with_signs_of_life_is_waited_for():
    """However long making a view anew takes."""

    class Slow(Fake):
        def finish(self, _ended):
            for _ in range(10):
                threading.Event().wait(0.1)
                yield

    assert shown(Slow(), patience=0.5) == (True, [])


def test_nothing_is_opened_before_there_is_something_to_tell():
    """While the trainer loads its framework, no thread loads MLflow beside it."""
    opened = []
    window, cut = (Live("It", URI, lambda: opened.append(1) or Fake(), pytest.fail) for _ in range(2))
    assert not cut.close("interrupted")
    assert opened == []
    window.put(fakes.outcome(0, 0.5))
    assert window.close("done")
    assert opened == [1]
