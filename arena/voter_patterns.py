"""Votes that do not look like a judgement: tests of one voter at a time; pure numpy.

**What an honest voter does (the null).** Where there is a winner, side A wins with
P = 1 / (1 + exp(theta_b - theta_a - gamma)): theta are Bradley-Terry strengths from the decided votes of *all others*,
gamma is their leaning to side A. Theirs, since a busy voter would otherwise be compared with itself; the strengths
without a voter's votes are one Newton step away from those with them. P is widened by what is not known about theta;
every voter is granted `LAPSE` of votes by accident. A tie or "both are bad" has any chance up to one half, or up to the
others' own rate where that is higher: people differ in how readily they call a tie, and that is no misconduct. Voters
whom a first look flags are left out of "the others" at the second, which decides.

**Patterns (the alternatives).** Always side A; always side B; always one model; always against one model; inverted (the
crowd's chances turned round); random (a coin, whoever plays); always a tie. "Always" means in the share `RESOLVE` of
the votes where the pattern says anything, each of its values equally likely. Battles of a model that others hardly
judged say nothing about patterns of models.

**The test.** e after n votes is the mixture, over patterns, of the likelihood ratios of the first n votes. It starts at
1 and is a nonnegative supermartingale under the null, so the chance that it *ever* reaches `FLAG_AT` = 20 is at most
1/20 (Ville's inequality; Ramdas, Gruenwald, Vovk and Shafer, Statistical Science 38, 2023): one may look after every
vote.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from arena.usual_votes import Crowd, Flags, Floats, Ints, VoteTable, crowd_of, difference, logistic

FLAG_AT = 20.0
"""Flags at most 1 honest voter in 20, whenever one looks."""

RESOLVE = (0.8, 0.97)
"""How firmly a pattern may be followed."""

LAPSE = 0.04
"""The share of an honest voter's votes that may be accidents."""

TIES_GRANTED = 0.5
"""Honest voters call at most this share of battles a tie or both bad, or the arena's share where that is higher."""

KNOWN_VOTES = 10
"""A model with fewer decided votes of others is new to them."""

LEAST_VOTES = 5
"""Of a voter: fewer cannot tell anything."""

LEAST_OTHERS = 30
"""Decided votes of others: with fewer nobody knows what a usual vote is."""


class Pattern(StrEnum):
    """What a flagged voter's votes look like most."""

    SIDE_A = "always side A"
    SIDE_B = "always side B"
    MODEL = "always one model"
    AGAINST = "always against one model"
    INVERTED = "the opposite of what others prefer"
    RANDOM = "tosses of a coin"
    TIE = "always a tie or both bad"


class CheckState(StrEnum):
    """Outcome of a check; one that could not run is neither passed nor failed."""

    PASSED = "passed"
    FLAGGED = "flagged"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True)
class VoterCheck:
    """What the votes of one voter look like."""

    voter: int
    votes: int
    state: CheckState
    evidence: float
    """The largest e reached; `FLAG_AT` and above flags."""
    pattern: Pattern | None
    """What the votes look like most, where flagged."""
    model: int | None
    """Which model, for a pattern about one."""
    reason: str
    """Why it could not run; empty otherwise."""


@dataclass(frozen=True, slots=True, eq=False)
class _Battles:
    """What one voter saw and chose, in order."""

    a: Ints
    b: Ints
    score: Floats
    happened: Floats
    """The chance, as the others would have it, of what the voter chose, given that there is a winner."""
    decided: Flags
    comparable: Flags
    """Decided, between models that the others know."""


@dataclass(frozen=True, slots=True, eq=False)
class _Ratio:
    """How much likelier a pattern makes each vote."""

    pattern: Pattern
    model: int | None
    prior: float
    log: Floats


def check_voters(table: VoteTable) -> Sequence[VoterCheck]:
    """Check every voter, in order of their numbers."""
    first = _check_all(table)
    flagged = np.array([check.state is CheckState.FLAGGED for check in first], bool)
    usual = table.counted & ~flagged[table.voter]
    if not flagged.any():
        return first
    second = _check_all(replace(table, counted=usual))
    # Without the flagged there may be too few others left; then the first look is all there is.
    return [old if new.state is CheckState.UNCHECKED else new for old, new in zip(first, second, strict=True)]


def _check_all(table: VoteTable) -> Sequence[VoterCheck]:
    crowd = crowd_of(table)
    order = np.argsort(table.voter, kind="stable")
    ends = np.searchsorted(table.voter[order], np.arange(table.voters + 1))
    return [_check(table, crowd, voter, order[ends[voter] : ends[voter + 1]]) for voter in range(table.voters)]


def _check(table: VoteTable, crowd: Crowd, voter: int, own: NDArray[np.intp]) -> VoterCheck:
    decided = own[table.score[own] != 0.5]
    counted = decided[table.counted[decided]]
    others = crowd.decided - len(counted)
    reason = ""
    if len(own) < LEAST_VOTES:
        reason = f"fewer than {LEAST_VOTES} votes"
    elif others < LEAST_OTHERS:
        reason = f"fewer than {LEAST_OTHERS} decided votes of other people to compare with"
    if reason:
        return VoterCheck(voter, len(own), CheckState.UNCHECKED, 1.0, None, None, reason)
    battles = _battles(table, crowd, own, counted)
    ratios = _ratios(battles, max(TIES_GRANTED, _ties_of_others(table, crowd, own)))
    paths = np.cumsum([ratio.log for ratio in ratios], axis=1)
    paths += np.log([[ratio.prior] for ratio in ratios])
    largest = paths.max(axis=0)
    mixed = largest + np.log(np.exp(paths - largest).sum(axis=0))
    peak = int(mixed.argmax())
    evidence = max(float(np.exp(min(mixed[peak], 700.0))), 1.0)
    if evidence < FLAG_AT:
        return VoterCheck(voter, len(own), CheckState.PASSED, evidence, None, None, "")
    likeliest = ratios[int(paths[:, peak].argmax())]
    return VoterCheck(voter, len(own), CheckState.FLAGGED, evidence, likeliest.pattern, likeliest.model, "")


def _battles(table: VoteTable, crowd: Crowd, own: NDArray[np.intp], counted: NDArray[np.intp]) -> _Battles:
    """A voter's battles beside what the others would say; `counted` are its decided votes among the crowd's."""
    residual = table.score[counted] - logistic(difference(crowd, table, counted) + crowd.gamma)
    pull = np.bincount(table.a[counted], residual, minlength=table.models) - np.bincount(
        table.b[counted], residual, minlength=table.models
    )
    theta = crowd.theta - np.clip(crowd.covariance @ pull, -1, 1)
    gamma = crowd.gamma - float(np.clip(residual.sum() / crowd.information, -1, 1))
    seated = np.concatenate([table.a[counted], table.b[counted]])
    known = crowd.judged - np.bincount(seated, minlength=table.models) >= KNOWN_VOTES
    a, b = table.a[own], table.b[own]
    spread = np.diag(crowd.covariance)
    variance = np.maximum(spread[a] + spread[b] - 2 * crowd.covariance[a, b], 0)
    widened = (theta[a] - theta[b] + gamma) / np.sqrt(1 + np.pi * variance / 8)
    chance = LAPSE / 2 + (1 - LAPSE) * np.where(known[a] & known[b], logistic(widened), 0.5)
    score = table.score[own]
    happened = np.where(score == 1, chance, 1 - chance)
    return _Battles(a, b, score, happened, score != 0.5, (score != 0.5) & known[a] & known[b])


def _ties_of_others(table: VoteTable, crowd: Crowd, own: NDArray[np.intp]) -> float:
    counted = own[table.counted[own]]
    total = int(table.counted.sum())
    ties = crowd.ties * total - float((table.score[counted] == 0.5).sum())
    return min(ties / max(total - len(counted), 1), 0.9)


def _ratios(battles: _Battles, ties: float) -> Sequence[_Ratio]:
    """One for each pattern, priors summing to one: a sixth for each kind of pattern, divided among its members.

    A vote without a winner says nothing about patterns of winners, and the other way round.
    """
    kind = 1 / 6
    found = [
        _ratio(battles, Pattern.INVERTED, None, kind, 1 - battles.happened, battles.comparable),
        _ratio(battles, Pattern.RANDOM, None, kind, np.full_like(battles.happened, 0.5), battles.comparable),
    ]
    met: list[int] = np.union1d(battles.a, battles.b).tolist()
    for firm in RESOLVE:
        share = kind / len(RESOLVE)
        for pattern, wanted in ((Pattern.SIDE_A, 1.0), (Pattern.SIDE_B, 0.0)):
            chance = np.where(battles.score == wanted, firm, 1 - firm)
            found.append(_ratio(battles, pattern, None, share / 2, chance, battles.decided))
        for model in met:
            present = battles.comparable & ((battles.a == model) | (battles.b == model))
            won = battles.score == (battles.a == model)
            for pattern, wins in ((Pattern.MODEL, firm), (Pattern.AGAINST, 1 - firm)):
                chance = np.where(won, wins, 1 - wins)
                found.append(_ratio(battles, pattern, model, share / len(met), chance, present))
        log = np.where(battles.decided, math.log((1 - firm) / (1 - ties)), math.log(firm / ties))
        found.append(_Ratio(Pattern.TIE, None, share, log))
    return found


def _ratio(
    battles: _Battles, pattern: Pattern, model: int | None, prior: float, chance: Floats, applies: Flags
) -> _Ratio:
    """`chance` is the pattern's, of what happened; where it does not apply a vote says nothing."""
    return _Ratio(pattern, model, prior, np.where(applies, np.log(chance / battles.happened), 0.0))
