"""The commands about tuning: start a job from a training file, follow jobs, add what came of one to the roster."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arena.commands.command_line import new_command, new_part, opened, settings_of
from arena.commands.tuning_printing import event_as_json, facts_of, job_as_json, print_plan, row_of, state_of
from arena.errors import ConfigError, TuningError
from arena.terminal import Parser, agreed, print_json, print_table, tell

if TYPE_CHECKING:
    from arena.commands.command_line import Commands
    from arena.finetune import TuningDesk
    from arena.tables import TuningJob

_LOOK_S = 0.2
"""How often `--follow` asks whether the next step is due."""
_SEND = "Send it? This uploads the votes' texts and costs money."
_NOBODY = "Nobody is there to be asked: add --yes to send it."


def add_tuning(commands: "Commands") -> None:
    """Add `tune` and `jobs`."""
    _add_tune(commands)
    _add_jobs(commands)


def _add_tune(commands: "Commands") -> None:
    what = "start a tuning job from an exported file: tells what it sends and costs, and asks"
    command = new_command(
        commands, "tune", what, "tune openai data/exports/openai.jsonl --base gpt-4.1-mini-2025-04-14"
    )
    command.add_argument("platform", choices=["openai", "vertex"])
    command.add_argument("file", type=Path, metavar="FILE", help="a training file written by `export`")
    command.add_argument(
        "--base", metavar="MODEL", help="a base model of ARENA_TUNING_FILE, or a registered model's id"
    )
    command.add_argument("--name", help="of the tuned model at the platform")
    command.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], dest="hyperparameters", help="a hyperparameter"
    )
    command.add_argument("--dry-run", action="store_true", help="only tell what would be sent")
    command.add_argument("--yes", action="store_true", help="do not ask")
    command.add_argument("--follow", action="store_true", help="wait for the job's end")
    command.add_argument("--json", action="store_true", help="for programs; needs --yes or --dry-run")
    command.set_defaults(run=tune)


def _add_jobs(commands: "Commands") -> None:
    jobs = new_command(commands, "jobs", "tuning jobs: how far they are and what came of them", "jobs --json")
    jobs.add_argument("--json", action="store_true", help="for programs")
    jobs.set_defaults(run=list_jobs)
    parts = jobs.add_subparsers(metavar="show, follow, cancel or register")

    def part(name: str, what: str, example: str, run: Callable[[argparse.Namespace], int]) -> Parser:
        command = new_part(parts, name, what, f"jobs {example}")
        command.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="for programs")
        command.add_argument("job", metavar="JOB", help="its id, or how that begins")
        command.set_defaults(run=run)
        return command

    part("show", "one job with its events and what was left out", "show 3f2a", show_job)
    part("follow", "wait for a job's end", "follow 3f2a", follow_job)
    part("cancel", "ask the platform to end a job", "cancel 3f2a", cancel_job)
    example = "register 3f2a --id coaia-openai-v2 --family coaia-openai --version 2 --parent coaia-openai-latest"
    register = part("register", "add a finished job's model to the roster", example, register_job)
    register.add_argument("--id", required=True, dest="model_id", help="of the model in the roster")
    register.add_argument("--family", help="the line of models that it belongs to")
    register.add_argument("--version", help="its place in that line")
    register.add_argument("--parent", metavar="ID", help="the model that it is to be compared with")
    register.add_argument("--display-name", metavar="NAME", help="what people read after a vote")
    register.add_argument("--step", type=int, help="a checkpoint instead of the final model")


def tune(given: argparse.Namespace) -> int:
    """Plan a job, tell, ask, send."""
    from arena.finetune import Wish

    if given.json and not (given.yes or given.dry_run):
        raise ConfigError("--json needs --yes or --dry-run: nobody could be asked.")
    wish = Wish(given.platform, given.file, given.base, given.name, _hyperparameters(given.hyperparameters))
    with opened_desk(given) as desk:
        plan = desk.plan(wish)
        if given.json and given.dry_run:
            print_json(plan.as_json())
        elif not given.json:
            print_plan(plan)
        if plan.problems:
            raise TuningError("It cannot be sent: " + " ".join(plan.problems))
        if given.dry_run or not (given.yes or agreed(_SEND, _NOBODY)):
            tell("Nothing was sent.")
            return 0
        job = desk.start(plan, at_once=True)
        if given.follow:
            job = _followed(desk, job.id, quiet=given.json)
    return _told(job, as_json=given.json)


def list_jobs(given: argparse.Namespace) -> int:
    """Print every job, the newest first."""
    with opened_desk(given) as desk:
        jobs = desk.jobs()
    if given.json:
        print_json({"jobs": [job_as_json(job) for job in jobs]})
    else:
        columns = ("Job", "Platform", "Base model", "Lines", "Started", "State", "Model")
        print_table(columns, [row_of(job) for job in jobs])
    return 0


def show_job(given: argparse.Namespace) -> int:
    """Print one job with its events and dropped examples."""
    with opened_desk(given) as desk:
        job = desk.job(given.job)
        events = desk.events(job.id)
    if given.json:
        print_json({**job_as_json(job), "events": [event_as_json(event) for event in events]})
        return 0
    print_table(("Job", job.id), facts_of(job))
    if events:
        sys.stdout.write("\n")
        print_table(("When", "Level", "Event"), [(f"{e.at:%Y-%m-%d %H:%M:%S}", e.level, e.message) for e in events])
    if job.dropped:
        sys.stdout.write("\n")
        rows = [(str(one["line"]), str(one["battle"] or "–"), one["reason"]) for one in job.dropped]
        print_table(("Line left out", "Battle", "Why"), rows)
    return 0


def follow_job(given: argparse.Namespace) -> int:
    """Do a job's steps, or watch another process do them, to its end."""
    with opened_desk(given) as desk:
        job = _followed(desk, desk.job(given.job).id, quiet=given.json)
    return _told(job, as_json=given.json)


def cancel_job(given: argparse.Namespace) -> int:
    """Ask for a job's end."""
    with opened_desk(given) as desk:
        job = desk.cancel(desk.job(given.job).id)
        job = desk.advance(job.id)
    return _told(job, as_json=given.json, wanted=("cancelled", None))


def register_job(given: argparse.Namespace) -> int:
    """Add a job's model to the roster's table."""
    from arena.finetune import Registration

    wish = Registration(given.model_id, given.family, given.version, given.parent, given.display_name, given.step)
    with opened_desk(given) as desk:
        model = desk.register(desk.job(given.job), wish)
    if given.json:
        print_json({"id": model.id, "job": model.job_id, "step": model.step, "entry": model.entry})
    else:
        sys.stdout.write(
            f"{model.id} is in the roster: {model.entry['model_name']}. A running arena takes it in by itself.\n"
        )
    return 0


def _followed(desk: "TuningDesk", job_id: str, *, quiet: bool) -> "TuningJob":
    """Watch a job, whoever does its steps, and tell each change; returns it when it has ended."""
    told = ""
    while True:
        job = desk.advance_if_due(job_id)
        said = state_of(job)
        if said != told and not quiet:
            tell(said)
            told = said
        if job.ended_at is not None:
            return job
        time.sleep(_LOOK_S)


def _told(job: "TuningJob", *, as_json: bool, wanted: Sequence[str | None] = ("succeeded", None)) -> int:
    """Print how a job stands; 0 where that is as good as can be."""
    if as_json:
        print_json(job_as_json(job))
    else:
        sys.stdout.write(f"Job {job.id}: {state_of(job)}\n")
    return 0 if job.outcome in wanted else 1


@contextmanager
def opened_desk(given: argparse.Namespace) -> Iterator["TuningDesk"]:
    """The tuning desk over the line's roster and database, for as long as a command needs it."""
    from arena.config import read_environment
    from arena.finetune import TuningDesk
    from arena.roster import load_roster

    settings = settings_of(given)
    if settings.demo:
        raise ConfigError("An offline demonstration trains nothing; leave --demo and ARENA_DEMO out.")
    with opened(settings) as database:
        desk = TuningDesk(database, load_roster(settings.models, read_environment()), settings)
        try:
            yield desk
        finally:
            desk.close()


def _hyperparameters(given: Sequence[str]) -> dict[str, Any]:
    """`KEY=VALUE`s; numbers as numbers, `KEY=` takes the configuration's one out."""
    import yaml

    chosen: dict[str, Any] = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not equals or not key:
            raise ConfigError(f"--set {one}: must be KEY=VALUE, such as --set beta=0.1.")
        chosen[key] = yaml.safe_load(value) if value else None
    return chosen
