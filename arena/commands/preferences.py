"""The commands about training data: what the votes teach, and files that platforms and trainers take."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arena.commands.command_line import new_command, opened, settings_of, settings_to_export
from arena.errors import ConfigError
from arena.terminal import print_json, print_table, progress, tell

if TYPE_CHECKING:
    from arena.commands.command_line import Commands
    from arena.config import Settings
    from arena.database import Database
    from arena.preferences.selection import Selection

FORMATS = ("openai", "vertex", "trl", "kto", "sft")
_LISTED = 1000
"""Most battles that `pairs --json` lists for a reason."""


def add_preferences(commands: "Commands") -> None:
    """Add `pairs` and `export`."""
    what = "what the votes teach: preference pairs, what is held back and why"
    command = new_command(commands, "pairs", what, "pairs --criterion clarity")
    _add_filters(command)
    doing = command.add_mutually_exclusive_group()
    doing.add_argument("--json", action="store_true", help=f"for programs; at most {_LISTED} battles for each reason")
    doing.add_argument("--list", metavar="REASON", help="every battle behind a reason's count, newest first")
    doing.add_argument(
        "--withhold", metavar="BATTLE", help="keep a battle out of training files; say why with --because"
    )
    doing.add_argument("--release", metavar="BATTLE", help="let a withheld battle in again")
    command.add_argument("--because", metavar="TEXT", default="", help="why a battle is withheld")
    command.set_defaults(run=pairs)

    what = "training files, each with its manifest"
    command = new_command(
        commands, "export", what, "export --format openai --out train.jsonl --validation-out validation.jsonl"
    )
    command.add_argument("--format", choices=FORMATS, required=True, help="who is going to read it")
    command.add_argument("--out", type=Path, metavar="FILE", required=True)
    command.add_argument("--validation-out", type=Path, metavar="FILE", help="a share of the prompts, kept apart")
    command.add_argument("--validation", type=_share, metavar="SHARE", default=0.1, help="that share; default 0.1")
    _add_filters(command)
    command.set_defaults(run=export)


def _add_filters(command: argparse.ArgumentParser) -> None:
    command.add_argument("--criterion", metavar="C", default="", help="a criterion instead of the overall verdict")
    command.add_argument("--imported", action="store_true", help="imported votes too")
    command.add_argument("--side-by-side", action="store_true", help="votes on named models too")
    command.add_argument(
        "--strict",
        action="store_true",
        help="hold back, too, what people decided differently about other answers of the same models to a prompt",
    )


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share < 1:
        raise argparse.ArgumentTypeError("the share must be above 0 and below 1")
    return share


def pairs(given: argparse.Namespace) -> int:
    """Tell what is kept, what is held back and why; or withhold or release one battle."""
    from arena.preferences.gates import SENTENCES
    from arena.preferences.withholding import release, withhold

    settings = settings_of(given)
    if given.list is not None and given.list not in SENTENCES:
        raise ConfigError(f"There is no reason {given.list!r}; the reasons are {', '.join(SENTENCES)}.")
    with opened(settings) as database:
        if given.withhold is not None:
            withhold(database, given.withhold, given.because)
            tell(f"The battle {given.withhold} is withheld from training files; its vote counts as before.")
        elif given.release is not None:
            release(database, given.release)
            tell(f"The battle {given.release} may be in training files again.")
        else:
            with _select(given, settings, database) as selection:
                _tell_selection(given, settings, selection)
    return 0


def export(given: argparse.Namespace) -> int:
    """Write a selection to a file, or two; what is missing until a platform takes it is told."""
    from arena.preferences.export import export_files
    from arena.preferences.rules import rules_of

    settings = settings_to_export(given)
    rules = rules_of(settings, given.format)
    with (
        opened(settings) as database,
        _select(given, settings, database, negatives=given.format == "kto") as selection,
        progress("Writing", sys.stderr) as bar,
    ):
        manifests = export_files(selection, given.format, rules, given.out, given.validation_out, given.validation, bar)
        lean = selection.lengths.sentence
    for manifest, path in zip(manifests, (given.out, given.validation_out), strict=False):
        lines = "1 line" if manifest.lines == 1 else f"{manifest.lines:,} lines"
        tell(f"Wrote {path}: {lines}, {manifest.bytes:,} bytes, about {manifest.tokens:,} tokens.")
        for problem in manifest.problems:
            tell(f"  Not ready: {problem}")
    tell(lean)
    return 0


def _select(
    given: argparse.Namespace, settings: "Settings", database: "Database", *, negatives: bool = False
) -> "Selection":
    from arena.challenges import load_challenges
    from arena.preferences.filters import filters_of
    from arena.preferences.selection import select_votes

    filters = filters_of(
        settings,
        criterion=given.criterion,
        imported=given.imported,
        side_by_side=given.side_by_side,
        strict=given.strict,
        negatives=negatives,
    )
    with progress("Reading votes", sys.stderr) as bar:
        return select_votes(database, filters, load_challenges(settings.data_dir), settings.data_dir, bar)


def _tell_selection(given: argparse.Namespace, settings: "Settings", selection: "Selection") -> None:
    from arena.preferences.gates import SENTENCES

    if given.list is not None:
        for found in selection.battles(given.list):
            sys.stdout.write(f"{found.battle}\n")
    elif given.json:
        listed = {
            reason: [found.battle for found, _ in zip(selection.battles(reason), range(_LISTED), strict=False)]
            for reason in (*selection.no_pair, *selection.held_back_counts)
        }
        ready = {name: list(problems) for name, problems in _readiness(settings, selection).items()}
        print_json({**selection.as_json(), "battles": listed, "problems": ready})
    else:
        rows = [("kept", f"{selection.kept:,}", _kept(selection))]
        for counts in (selection.no_pair, selection.held_back_counts):
            rows += [(reason, f"{count:,}", SENTENCES[reason]) for reason, count in counts.items()]
        print_table(("Votes", "Count", ""), rows)
        sys.stdout.write(f"\n{selection.lengths.sentence}\n")
        for name, problems in _readiness(settings, selection).items():
            sys.stdout.write(f"{name}: {' '.join(problems) or 'enough lines.'}\n")


def _kept(selection: "Selection") -> str:
    return "1 pair." if selection.lessons_kept == 1 else f"{selection.lessons_kept:,} pairs."


def _readiness(settings: "Settings", selection: "Selection") -> dict[str, Any]:
    from arena.preferences.rules import problems_of, rules_of

    return {
        name: problems_of(rules_of(settings, name), "train", selection.lessons_kept)
        for name in ("openai", "vertex", "trl")
    }
