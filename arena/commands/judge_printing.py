"""What the commands about judge models print."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from arena.terminal import count_of, print_table, tell

if TYPE_CHECKING:
    from arena.judge.findings import Difference, JudgeFinding
    from arena.judge.overview import JudgeState
    from arena.judge.run import JudgeReport

_SIDES = ("A", "even", "B")
_LISTED = 50


def tell_report(report: "JudgeReport") -> int:
    """What the run did, and what is left; returns the command's exit status."""
    if report.given_up:
        tell(f"{count_of(report.given_up, 'question')} failed for good before; --again asks them once more.")
    if not report.wanted:
        sys.stdout.write("Nothing is left to ask.\n")
        return 0 if not report.given_up else 1
    failed = report.failures.total()
    lines = [f"{count_of(report.scored, 'verdict')}, {failed} failed, {report.left} left; {_cost(report)}."]
    lines += [f"  {number} failed: {reason}" for (_, reason), number in report.failures.most_common()]
    if report.stopped:
        lines.append(f"Stopped: {report.stopped} The same command goes on from there.")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if report.scored == report.wanted and not report.given_up else 1


def print_states(states: "Sequence[JudgeState]", findings: "Sequence[JudgeFinding]") -> None:
    """How far each judge is, and how it agrees with people."""
    if not states:
        sys.stdout.write("No judge was asked yet.\n")
        return
    columns = ("Judge", "Revision", "Rubric", "Verdicts", "Pairs", "Failed", "Requests", "Tokens", "Cost")
    print_table(columns, [_state_row(state) for state in states])
    for state in states:
        for reason, number in state.failures.items():
            sys.stdout.write(f"{state.model_id}: {number} failed: {reason}\n")
    for found in findings:
        sys.stdout.write(f"\n{found.model_id}: {found.overall.sentence}\n{found.seats.sentence}\n")
        if found.parting:
            sys.stdout.write(f"{found.parting}\n")
        rows = [
            (
                row.criterion.name if row.criterion else "Overall",
                row.judge.words,
                row.people.words,
                f"{row.parted} of {row.held}",
            )
            for row in (found.overall, *found.criteria)
        ]
        print_table(("", "Judge with a person", "People with each other", "Differs from most"), rows)


def print_differences(found: "JudgeFinding") -> None:
    """The battles on which a judge and most people differ."""
    rows = [
        (
            difference.battle_id,
            difference.criterion.name if difference.criterion else "Overall",
            f"{_SIDES[difference.people]} ({difference.agreed} of {difference.voters})",
            _SIDES[difference.judge],
            difference.reason,
        )
        for difference in found.differences[:_LISTED]
    ]
    sys.stdout.write(f"{found.model_id}: {count_of(len(found.differences), 'difference')} from most people\n")
    if rows:
        print_table(("Battle", "On", "Most people", "Judge", "The judge's reason"), rows)


def finding_as_json(found: "JudgeFinding") -> dict[str, Any]:
    """A judge and people, for programs."""
    return {
        "judge": found.model_id,
        "pairs": found.pairs,
        "rows": [
            {
                "criterion": row.criterion.id if row.criterion else None,
                "judge_with_a_person": _alpha_as_json(row.judge),
                "people_with_each_other": _alpha_as_json(row.people),
                "differs_from_most": row.parted,
                "held_against_most": row.held,
            }
            for row in (found.overall, *found.criteria)
        ],
        "seats": found.seats.sentence,
        "differences": [_difference_as_json(difference) for difference in found.differences],
    }


def _alpha_as_json(alpha: Any) -> dict[str, Any]:  # noqa: ANN401 - agreement imports numpy, which --help need not pay
    return {"alpha": alpha.value, "low": alpha.low, "high": alpha.high, "pairs": alpha.units, "same": alpha.same}


def _difference_as_json(difference: "Difference") -> dict[str, Any]:
    return {
        "battle": difference.battle_id,
        "criterion": difference.criterion.id if difference.criterion else None,
        "people": _SIDES[difference.people],
        "agreed": difference.agreed,
        "voters": difference.voters,
        "judge": _SIDES[difference.judge],
        "reason": difference.reason,
    }


def _state_row(state: "JudgeState") -> Sequence[str]:
    return (
        state.model_id,
        state.judge[:8],
        state.rubric_version,
        str(state.scored),
        str(state.pairs),
        str(sum(state.failures.values())),
        str(state.requests),
        f"{'about ' if state.estimated else ''}{state.tokens}",
        "unknown" if state.usd is None else dollars(state.usd),
    )


def _cost(report: "JudgeReport") -> str:
    spent = report.spent
    about = "about " if spent.estimated else ""
    money = f", {about}{dollars(spent.usd)}" if spent.usd else ""
    return f"{about}{spent.tokens} tokens{money}"


def dollars(usd: float) -> str:
    """'1.50 US dollars', and small sums with four digits."""
    return f"{usd:,.2f} US dollars" if usd >= 1 else f"{usd:,.4f} US dollars"
