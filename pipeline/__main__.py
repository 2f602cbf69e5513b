"""The command line: words to stages, errors to words. Every heavy import waits until it is needed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click
from click.core import ParameterSource

from pipeline.errors import PipelineError
from pipeline.stages import lifeline
from pipeline.training import surroundings

if TYPE_CHECKING:
    from pipeline.records.project import Project

ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
ENVIRONMENT |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
EXIT_USER, EXIT_INTERRUPTED = 2, 130
INTERRUPTED = "Interrupted. What was finished is recorded; the same command goes on from there."


def _study(context: click.Context, _: click.Parameter, name: str) -> str:
    """The study that is named, or the one whose stage DVC runs: no shell sees a name from params.yaml."""
    is_stage = context.get_parameter_source("name") is ParameterSource.ENVIRONMENT
    return name.split("dvc.yaml:")[-1].partition("@")[2] if is_stage else name


def _say(lines: Iterable[str], err: bool = False) -> None:
    for line in lines:
        click.echo(line, err=err)


STUDY = click.argument("name", envvar="DVC_STAGE", callback=_study)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="keras-study")
@click.pass_context
def cli(context: click.Context) -> None:
    """Hyperparameter studies of Keras image classifiers that people can believe.

    A project is made by `study init`, a study in it by `study new`: one file, studies/NAME/study.toml. `study
    repro`, or `dvc repro`, runs its stages in order: check, prepare, baseline, search, confirm, report.
    """
    if context.obj and context.invoked_subcommand in TRAINING:
        _say([f"Set here and not taken over, since results would move: {', '.join(context.obj)}."], err=True)


@cli.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Make a project in FOLDER, by default this one."""
    from pipeline.stages.create import init as run

    _say(run(folder))


@cli.command()
@click.argument("name")
def new(name: str) -> None:
    """Write studies/NAME/study.toml, and list NAME in params.yaml."""
    from pipeline.stages import create

    _say(create.new(_project(), name))


@cli.command()
@click.argument("hypermodel", metavar="FILE.py:NAME")
@click.argument("name", metavar="[STUDY]", required=False)
def import_space(hypermodel: str, name: str | None) -> None:
    """Write a study of a Keras Tuner HyperModel, or of a function of hp: its space, and a model.py."""
    from pipeline.stages import create

    _say(create.import_space(_project(), hypermodel, name))


@cli.command()
@click.argument("name", required=False)
@click.pass_context
def repro(context: click.Context, name: str | None) -> None:
    """Run what is due of one study, or of all in params.yaml, without DVC: the same records and results."""
    from pipeline.stages import repro as stage

    project = _project()
    for each in stage.wanted(project, name, click.echo):
        stages = {str(verb.name): partial(context.invoke, verb, name=each) for verb in STAGES}
        stage.repro(project, each, stages, lambda line: click.echo(line, err=True))


@cli.command()
@STUDY
def check(name: str) -> None:
    """Find every problem of a study file; write its plan."""
    from pipeline.stages.prepare import check as run

    study, shown = run(_project(), name)
    _say(shown)
    arms = "" if not study.compared else f" in {len(study.arms)} arms"
    trials = f"{sum(arm.search.trials for arm in study.arms)} trials{arms}"
    click.echo(f"{name}: no problems. {trials}, {study.confirm.repeats} fresh seeds.")


@cli.command()
@STUDY
def prepare(name: str) -> None:
    """Read, check and split the data."""
    from pipeline.stages.prepare import prepare as run

    project = _project()
    sizes = ", ".join(f"{split} {size:,}" for split, size in run(project, name).items())
    made = [one for one in ("samples.png", "card.json") if (project.data(name) / one).is_file()]
    click.echo(f"{name}: {sizes}. Look at {' and '.join(f'data/{name}/{one}' for one in made)}.")


@cli.command()
@STUDY
def baseline(name: str) -> None:
    """Train the plain configuration on several seeds."""
    from pipeline.stages.baseline import baseline as run

    outcomes = run(_project(), name).outcomes
    click.echo(f"{name}: the baseline was trained on {len(outcomes)} seeds. studies/{name}/baseline.csv")


@cli.command()
@STUDY
def search(name: str) -> None:
    """Spend the trials; goes on where it was stopped."""
    from pipeline.stages.search import search as run
    from pipeline.stages.status import counted

    for arm, result in run(_project(), name).items():
        click.echo(f"{name} {arm}: {counted(result.outcomes)}. studies/{name}/trials.csv")


@cli.command()
@STUDY
def confirm(name: str) -> None:
    """Retrain the best on fresh seeds; open the test split once."""
    from pipeline.stages.confirm import confirm as run

    champion = run(_project(), name)["champion"]
    word = "is" if champion["granted"] else "is not"
    click.echo(f"{name}: the winner {word} the champion: {champion['reason']}.")


@cli.command()
@STUDY
def report(name: str) -> None:
    """Write report.md, report.html and metrics.json."""
    from pipeline.stages.report import report as run

    click.echo(f"{run(_project(), name)}\nstudies/{name}/report.html")


@cli.command()
@click.argument("name", required=False)
def status(name: str | None) -> None:
    """What each study has: its stages and its recorded trials."""
    from pipeline.stages import status as between

    _say(between.status(_project(), name))


@cli.command()
@click.argument("name")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON value.")
def plan(name: str, is_json: bool) -> None:
    """Say what the study will be able to tell, and what it will cost, before anything is trained."""
    from pipeline.stages import planning

    _say(planning.lines(planning.plan(_project(), name), is_json))


@cli.command()
@click.argument("name")
def best(name: str) -> None:
    """The best trials so far, also while the search runs."""
    from pipeline.stages import status as between

    _say(between.best(_project(), name))


@cli.command()
@click.argument("name")
@click.argument("trials", nargs=-1, metavar="[TRIAL]...")
@click.option("--sample", type=click.IntRange(min=1), help="So many trials, drawn by the study's seed.")
def replay(name: str, trials: tuple[str, ...], sample: int | None) -> None:
    """Train recorded trials again and compare every number.

    TRIAL is a number, or ARM:NUMBER where the study has several arms; without any, all are replayed.
    """
    from pipeline.stages.replay import replay as run

    _say(run(_project(), name, trials, sample))


@cli.command()
@click.argument("name", required=False)
def doctor(name: str | None) -> None:
    """Say what dead processes, full disks and hands have left behind; nothing is written."""
    from pipeline.stages.repair import doctor as run

    _say(run(_project(is_healed=False), name))


@cli.command()
@click.argument("name", required=False)
def repair(name: str | None) -> None:
    """Mend what `study doctor` finds; MLflow and Optuna's storage are made again from the record."""
    from pipeline.stages.repair import repair as run

    _say(run(_project(is_healed=False), name))


@cli.command()
@click.argument("name", required=False)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
def gc(name: str | None, dry_run: bool) -> None:
    """Remove what the studies no longer use: old records, weights, logs.

    What MLflow has missed of an old record goes with it: run `study repair` before. MLflow's runs stay.
    """
    from pipeline.stages.gc import gc as run

    _say(run(_project(), name, dry_run))


@cli.command()
@click.argument("name")
@click.argument("inputs", nargs=-1, required=True)
@click.option("--version", "number", type=click.IntRange(min=1), help="This version, not the champion.")
@click.option("--output", type=click.Path(path_type=Path), help="Write a CSV file as well.")
def predict(name: str, inputs: tuple[str, ...], number: int | None, output: Path | None) -> None:
    """Ask the champion what images show, or rows say.

    INPUTS are .npy, .npz or .csv files, pictures, or folders of pictures, of the size that the study learnt.
    """
    from pipeline.stages.predict import predict as run

    _say(run(_project(), name, inputs, number, output))


@cli.command()
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65_535))
def ui(port: int) -> None:
    """Open the MLflow UI on this project's runs, for this machine only."""
    from pipeline.tracking.ui import serve

    project = _project()
    serve(project.tracking_uri, project.artifacts, port, lambda line: click.echo(line, err=True))


STAGES = (check, prepare, baseline, search, confirm, report)
TRAINING = ("baseline", "search", "confirm", "replay", "repro")
OPTION = click.Option(["--cluster"], metavar="ADDRESS", envvar="STUDY_CLUSTER", expose_value=False)
OPTION.help = "Train on this Ray cluster: HOST:PORT, auto (this machine's), or local (one for this run)."
OPTION.callback = lambda _, __, address: os.environ.update(STUDY_CLUSTER=address or "")
for each in TRAINING:
    cli.commands[each].params.append(OPTION)


def main() -> NoReturn:
    """Run the command line; exit 0 done, 1 our bug, 2 yours to mend, 130 interrupted."""
    overridden = surroundings.overridden(os.environ)
    surroundings.hold()
    os.environ.update({name: os.environ.get(name, value) for name, value in ENVIRONMENT.items()})
    lifeline.end_tidily(EXIT_INTERRUPTED)
    if "DVC_STAGE" in os.environ:
        lifeline.end_with_caller(EXIT_INTERRUPTED)
    try:
        cli.main(standalone_mode=False, obj=overridden)
    except PipelineError as error:
        _say([str(error)], err=True)
        sys.exit(EXIT_USER)
    except click.ClickException as error:
        error.show()
        sys.exit(EXIT_USER)
    except (KeyboardInterrupt, click.Abort):
        _say([INTERRUPTED], err=True)
        sys.exit(EXIT_INTERRUPTED)
    sys.exit(0)


def _project(is_healed: bool = True) -> Project:
    from pipeline.stages import leftovers

    project, healed = leftovers.here(is_healed)
    _say(healed, err=True)
    return project


if __name__ == "__main__":
    main()
