"""What the Analytics page says of the votes, from none to very many. Pure; see `analytics_page` for the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from arena.calibration import calibrate
from arena.comparisons import PlatformVerdict
from arena.history import Moment
from arena.leaderboard import Standing, Standings
from arena.pair_verdicts import Comparisons
from arena.roster import PLATFORM_NAMES
from arena.style import StyleRow, StyleStandings
from arena.ui.board import basis, count_of
from arena.ui.charts import Chart
from arena.ui.matchups import Heatmap, Verdicts, draw_heatmap, tell_verdicts
from arena.ui.rating_charts import draw_calibration, draw_families, draw_history, tell_calibration

ENOUGH_VOTES = 10
"""Below this nothing is said in words about who is better, and no part of the votes gets a table."""

_MOST_ROWS = 8
_LEAST_SCALE = 100.0
"""Elo points to each side of 0: a narrower scale would make chance look like a difference."""

_COMPARED_FIRST = (PLATFORM_NAMES["openai"], PLATFORM_NAMES["vertex"])


@dataclass(frozen=True, slots=True)
class Bar:
    """A difference and its interval around 0; all in per cent of the width, 0 in the middle."""

    start: float
    end: float
    point: float


@dataclass(frozen=True, slots=True)
class PlatformPart:
    """One platform against another."""

    title: str
    sentence: str
    facts: str
    bar: Bar | None
    """`None` while there is no verdict."""


@dataclass(frozen=True, slots=True)
class StylePart:
    """Ratings with length and formatting held equal."""

    status: str
    """Why there is nothing yet, or what it rests on."""
    effects: Sequence[str]
    rows: Sequence[StyleRow]
    pending: bool
    """Whether waiting a little brings it."""


@dataclass(frozen=True, slots=True)
class SliceTable:
    """Standings from some of the votes."""

    name: str
    votes: int
    rows: Sequence[Standing]
    left_out: int


@dataclass(frozen=True, slots=True)
class Slices:
    """The tables of all parts of the votes that have enough."""

    tags: Sequence[SliceTable]
    languages: Sequence[SliceTable]
    turns: Sequence[SliceTable] = ()
    """By the number of turns that the voter had seen."""
    voters: Sequence[SliceTable] = ()

    @property
    def any(self) -> bool:
        """Whether any part has a table."""
        return bool(self.tags or self.languages or self.turns or self.voters)


@dataclass(frozen=True, slots=True)
class Analytics:
    """The whole page, ready for its template."""

    standings: Standings
    lead: str
    basis: str
    platforms: Sequence[PlatformPart]
    heatmap: Heatmap | None
    verdicts: Verdicts | None
    fragility: str | None
    """What holds the leader up; `None` while it is being found out, empty where there is nothing to say."""
    versions: Sequence[Standing]
    style: StylePart
    slices: Slices | None
    """`None` while they are being counted."""
    history: Chart | None
    families: Sequence[Chart]
    calibration: Chart | None
    calibration_sentence: str
    demo: bool

    @property
    def pending(self) -> bool:
        """Whether a part of the page is still being computed."""
        return self.style.pending or self.slices is None or self.fragility is None


def lay_out(
    comparisons: Comparisons,
    versions: Standings,
    style: StyleStandings | None,
    slices: Slices | None,
    *,
    demo: bool,
    moments: Mapping[int, Sequence[Moment]] | None = None,
    fragility: str | None = "",
) -> Analytics:
    """Put everything together; what is not ready or has too few votes says so."""
    standings = comparisons.table.standings(comparisons.crowd, comparisons.inflation)
    best_first = [row.revision_id for row in standings.rows if row.rating is not None]
    enough = standings.votes >= ENOUGH_VOTES
    classes = calibrate(comparisons.table.fit) if enough else ()
    return Analytics(
        standings=standings,
        lead=lead(standings.votes),
        basis=basis(standings),
        platforms=compare_platforms(comparisons) if standings.votes else (),
        heatmap=draw_heatmap(comparisons, best_first),
        verdicts=tell_verdicts(comparisons, best_first) if enough else None,
        fragility=fragility if enough else "",
        versions=versioned(versions),
        style=tell_style(style, standings),
        slices=slices,
        history=draw_history(standings.rows, moments or {}),
        families=draw_families(versions.rows),
        calibration=draw_calibration(classes),
        calibration_sentence=tell_calibration(classes),
        demo=demo,
    )


def lead(votes: int) -> str:
    """What the page is, or what it waits for."""
    if not votes:
        return "No votes yet. What they say about models, platforms and prompts will stand here."
    if votes < ENOUGH_VOTES:
        return f"The first votes are in. From {ENOUGH_VOTES} on, this page says in words what they settle and what not."
    return "What the votes settle, what they leave open, and how many more it would take."


def compare_platforms(comparisons: Comparisons) -> Sequence[PlatformPart]:
    """One part for each two platforms, those that have met first; OpenAI against Vertex AI before all others."""
    platforms = sorted({entry.platform for entry in comparisons.table.entries}, key=_platform_order)
    if len(platforms) < 2:
        only = f"All models here are of one platform ({platforms[0]})." if platforms else "There are no models yet."
        return [PlatformPart("One platform", f"{only} A verdict needs votes on battles between two.", "", None)]
    found = [(pair, comparisons.platforms(*pair)) for pair in combinations(platforms, 2)]
    met = [(pair, verdict) for pair, verdict in found if verdict is not None] or found[:1]
    return [_platform_part(*pair, verdict) for pair, verdict in met]


def _platform_order(name: str) -> tuple[int, str]:
    return (_COMPARED_FIRST.index(name) if name in _COMPARED_FIRST else len(_COMPARED_FIRST), name)


def _platform_part(first: str, second: str, verdict: PlatformVerdict | None) -> PlatformPart:
    title = f"{first} against {second}"
    if verdict is None:
        waiting = "Their models have not met in a counted vote yet. A verdict follows from such battles."
        return PlatformPart(title, waiting, "", None)
    votes = verdict.comparison.votes
    if votes < ENOUGH_VOTES:
        so_far = f"{count_of(votes, 'vote')} between their models so far; a verdict stands here from {ENOUGH_VOTES} on."
        return PlatformPart(title, so_far, "", None)
    facts = (
        f"{first} won {verdict.observed_rate:.0%} of {votes:,} battles between the two, ties counted half; with the "
        f"models' ratings {verdict.expected_rate:.0%} were to be expected. Each model weighs the same in the verdict."
    )
    return PlatformPart(title, verdict.comparison.sentence, facts, _bar(verdict))


def _bar(verdict: PlatformVerdict) -> Bar:
    ahead = verdict.comparison
    reach = max(_LEAST_SCALE, abs(ahead.low), abs(ahead.high)) * 1.05
    start, end, point = (round(50 + 50 * points / reach, 2) for points in (ahead.low, ahead.high, ahead.points))
    return Bar(start, end, point)


def tell_fragility(comparisons: Comparisons) -> str:
    """How few votes hold the leader up; empty while there is no leader of anything."""
    if len(comparisons.table.fit.estimate.rated) < 2 or comparisons.counts.votes < ENOUGH_VOTES:
        return ""
    found = comparisons.fragility()
    if found is None:
        return "Whichever votes were left out in trying, the leader stayed the same."
    leader, challenger = comparisons.names[found.leader], comparisons.names[found.challenger]
    return (
        f"Had {count_of(found.votes, 'vote')} of the {comparisons.counts.votes:,} not been given "
        f"({_share(found.share)}, chosen to do the most harm), {challenger} would lead instead of {leader}."
    )


def versioned(standings: Standings) -> Sequence[Standing]:
    """The rated versions, by family, the best of each first."""
    rated = [row for row in standings.rows if row.version and row.rating is not None]
    return sorted(rated, key=lambda row: (row.family or row.model_id, -(row.rating or 0.0)))


def tell_style(style: StyleStandings | None, standings: Standings) -> StylePart:
    """Style control in words, or why there is none yet."""
    if standings.votes < ENOUGH_VOTES:
        return StylePart(f"Too few votes to tell style from substance: it takes {ENOUGH_VOTES}.", (), (), pending=False)
    if style is None or (style.votes < ENOUGH_VOTES and style.sequence < standings.sequence):
        return StylePart("Being computed; it appears here by itself.", (), (), pending=True)
    if style.votes < ENOUGH_VOTES:
        left = f"Only {count_of(style.votes, 'vote')} with both answers at hand: it takes {ENOUGH_VOTES}."
        return StylePart(left, (), (), pending=False)
    status = f"From {count_of(style.votes, 'vote')} whose answers are stored here."
    if style.left_out:
        status += f" {style.left_out:,} were imported without their answers and are left out."
    effects = [effect.sentence.replace("-", "−") for effect in style.effects]
    return StylePart(status, effects, style.rows, pending=False)


def tabulate_slice(name: str, standings: Standings) -> SliceTable | None:
    """A small table; `None` where the part has too few votes."""
    rated = [row for row in standings.rows if row.rating is not None]
    if standings.votes < ENOUGH_VOTES:
        return None
    return SliceTable(name, standings.votes, rated[:_MOST_ROWS], max(len(rated) - _MOST_ROWS, 0))


def _share(share: float) -> str:
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"
