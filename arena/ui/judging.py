"""What the Analytics page says of how people judge: agreement, criteria, sides. Pure; see `judging_section`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from arena.agreement import FEWEST_UNITS, Alpha, list_some
from arena.consistency import Consistency, CriterionFinding, VoterFinding
from arena.criteria_patterns import ENOUGH, Halo, Share
from arena.leaderboard import Standings
from arena.pair_verdicts import Comparisons
from arena.ui.analytics import SliceTable, tabulate_slice

_LEAST_REPEATS = 8


@dataclass(frozen=True, slots=True)
class CriterionPart:
    """One criterion, ready for its template."""

    name: str
    question: str
    association: str
    agreement: str
    table: SliceTable | None
    """`None` where too few votes rated it."""


@dataclass(frozen=True, slots=True)
class Judging:
    """The section, ready for its template."""

    agree: str
    ordered: str
    apart: str
    disputed: str
    repeats: str
    side: str
    criteria: Sequence[CriterionPart]
    halo: str
    rubric: str
    """The version whose votes are told."""


@dataclass(frozen=True, slots=True)
class VoterWays:
    """One voter's row for the operator."""

    voter: str
    votes: str
    side_a: str
    longer: str
    formatted: str
    others: str
    repeats: str
    halo: str
    noticed: str


def lay_out_judging(
    found: Consistency, comparisons: Comparisons, boards: Mapping[str, Standings], version: str
) -> Judging:
    """Put everything in words; `boards` are the standings of each criterion, by its id."""
    ordered = found.ordered
    return Judging(
        agree=found.people.sentence,
        ordered=_told(ordered, "With even between the two answers, as an order, ") if found.people.value else "",
        apart=tell_apart(comparisons),
        disputed=" ".join(told for told in (found.disputed, found.disputed_models) if told),
        repeats=found.repeats.sentence,
        side=tell_side(found.side_a),
        criteria=[_criterion(finding, boards[finding.criterion.id]) for finding in found.criteria],
        halo=found.halo.sentence,
        rubric=version,
    )


def tell_apart(comparisons: Comparisons) -> str:
    """Whether the votes separate the models, in words."""
    verdicts = [
        verdict
        for row, others in enumerate(comparisons.matrix())
        for verdict in others[row + 1 :]
        if verdict is not None
    ]
    if not verdicts:
        return "It takes votes on two models to tell."
    settled = sum(verdict.settled for verdict in verdicts)
    if len(verdicts) == 1:
        return "Yes: the votes tell the two models apart." if settled else "Not yet: the votes leave it open."
    if not settled:
        return f"Not yet: the votes tell none of the {len(verdicts):,} pairs of models apart."
    if settled == len(verdicts):
        return f"Yes: the votes tell all {settled:,} pairs of models apart."
    unsettled = [f"{verdict.first} and {verdict.second}" for verdict in verdicts if not verdict.settled]
    told = f"In part: the votes tell {settled:,} of {len(verdicts):,} pairs of models apart"
    return f"{told}, but not yet {list_some(unsettled)}."


def tell_side(side: Share | None) -> str:
    """Whether people lean to a side; seats are drawn at random, so without a leaning it is half and half."""
    if side is None or side.votes < ENOUGH:
        return f"Too few votes for a side to tell whether people lean to one: it takes {ENOUGH}."
    leaning = "no leaning shows" if side.low <= 0.5 <= side.high else f"people lean to side {'AB'[side.high < 0.5]}"
    return f"Side A was chosen in {side.words} of {side.votes:,} votes for a side, and seats are random: {leaning}."


def tell_ways(found: VoterFinding) -> VoterWays:
    """One voter's row: shares with their intervals, and what stands out."""
    return VoterWays(
        voter=found.voter,
        votes=f"{found.votes:,}",
        side_a=_words(found.side_a),
        longer=_words(found.longer),
        formatted=_words(found.formatted),
        others=_alpha(found.others),
        repeats=_words(found.repeats.same),
        halo=_halo(found.halo),
        noticed="; ".join(noticed(found)) or "nothing",
    )


def noticed(found: VoterFinding) -> Sequence[str]:
    """What stands out of a voter's ways; with many voters some of it stands out by chance, at 95% one in twenty."""
    told = [
        *_leaning(found.side_a, "leans to side A", "leans to side B"),
        *_leaning(found.longer, "prefers the longer answer", "prefers the shorter answer"),
        *_leaning(found.formatted, "prefers more formatting", "prefers less formatting"),
    ]
    if found.others is not None and found.others.low is not None and found.others.high is not None:
        if found.others.high < 0:
            told.append("contradicts the others")
        elif found.others.low <= 0:
            told.append("agrees with others no more than chance is shown to give")
    same = found.repeats.same
    if same is not None and same.votes >= _LEAST_REPEATS and same.low < 0.5:
        told.append("often says something else when asked again")
    uniform = found.halo.uniform
    if uniform is not None and uniform.votes >= ENOUGH and uniform.low > found.halo.independent:
        told.append("gives all criteria to one side")
    return told


def _criterion(finding: CriterionFinding, standings: Standings) -> CriterionPart:
    criterion = finding.criterion
    return CriterionPart(
        name=criterion.name,
        question=criterion.question,
        association=finding.association.sentence,
        agreement=finding.alpha.sentence if finding.alpha.units else "",
        table=tabulate_slice(criterion.name, standings),
    )


def _told(alpha: Alpha, opening: str) -> str:
    sentence = alpha.sentence
    return opening + sentence[0].lower() + sentence[1:]


def _leaning(share: Share | None, more: str, less: str) -> Sequence[str]:
    if share is None or share.votes < ENOUGH or share.low <= 0.5 <= share.high:
        return []
    return [more] if share.low > 0.5 else [less]


def _words(share: Share | None) -> str:
    return "–" if share is None else f"{share.words}, n {share.votes:,}"


def _alpha(alpha: Alpha | None) -> str:
    if alpha is None or alpha.same is None:
        return "–"
    if alpha.value is None or alpha.units < FEWEST_UNITS:
        return f"{alpha.same:.0%} the same, n {alpha.units:,}"
    return f"{alpha.same:.0%} the same (α {alpha.value:.2f}), n {alpha.units:,}".replace("α -", "α −")


def _halo(found: Halo) -> str:
    if found.uniform is None:
        return "–"
    return f"{found.uniform.value:.0%}, by chance {found.independent:.0%}, n {found.uniform.votes:,}"
