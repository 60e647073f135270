"""The figures of one moment, in Prometheus' terms."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from arena import __version__
from arena.battle import Figures
from arena.fleet import ModelState, ModelStatus
from arena.limits import Today
from arena.targets import Kept


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The figures of one moment, gathered before they are written out."""

    stored: "Stored | None"
    """What the database tells; `None` while it tells nothing."""
    outages: Mapping[str, int]
    """Statements that the database refused, by trouble."""
    takes_votes: bool
    sound: bool
    waiting: int
    """Visitors in line."""
    tasks: int
    """What the event loop has to do, running or waiting."""
    statuses: Sequence[ModelStatus]
    open_streams: int
    refused: Mapping[str, int]
    uptime_s: float


@dataclass(frozen=True, slots=True)
class Stored:
    """The figures that are read from the database."""

    figures: Figures
    votes: int
    database_bytes: int
    kept: Sequence[Kept]
    today: Today


def written(snapshot: Snapshot) -> bytes:
    """What a Prometheus server reads."""
    registry = CollectorRegistry()
    registry.register(_SnapshotCollector(snapshot))
    return generate_latest(registry)


class _SnapshotCollector(Collector):
    """Writes one snapshot in Prometheus' terms."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        seen = self._snapshot
        info = InfoMetricFamily("arena_build", "The running arena.")
        info.add_metric([], {"version": __version__})
        yield info
        yield self._failures()
        yield self._refusals()
        ready = sum(status.state is ModelState.READY for status in seen.statuses)
        yield GaugeMetricFamily("arena_models_ready", "Models that can be asked now.", value=ready)
        yield GaugeMetricFamily("arena_models", "Models in the roster.", value=len(seen.statuses))
        yield GaugeMetricFamily("arena_open_streams", "Event streams open to pages.", value=seen.open_streams)
        yield GaugeMetricFamily("arena_uptime_seconds", "Seconds since the start.", value=seen.uptime_s)
        yield GaugeMetricFamily("arena_waiting_visitors", "Visitors in line before a full arena.", value=seen.waiting)
        yield GaugeMetricFamily("arena_tasks", "Tasks of the event loop.", value=seen.tasks)
        works = float(seen.takes_votes and seen.stored is not None)
        yield GaugeMetricFamily("arena_database_works", "Whether the database takes votes: 0 or 1.", value=works)
        sound = "Whether the database's file was found undamaged: 0 or 1."
        yield GaugeMetricFamily("arena_database_sound", sound, value=float(seen.sound))
        yield self._outages()
        if seen.stored is not None:
            yield from self._from_database(seen.stored)

    def _from_database(self, stored: Stored) -> Iterator[Metric]:
        """Absent while the database does not answer: a figure that is not known is not 0."""
        yield _battles(stored.figures)
        yield GaugeMetricFamily("arena_running_battles", "Battles that run now.", value=stored.figures.running)
        yield CounterMetricFamily("arena_votes", "Votes that count.", value=stored.votes)
        yield GaugeMetricFamily("arena_database_bytes", "Size of the database.", value=stored.database_bytes)
        yield GaugeMetricFamily("arena_starts_today", "Turns since midnight UTC.", value=stored.today.starts)
        if stored.today.dollars is not None:
            spent = stored.today.dollars
            yield GaugeMetricFamily("arena_spent_today_dollars", "US dollars since midnight UTC.", value=spent)
        yield from _kept(stored.kept)

    def _outages(self) -> Metric:
        family = CounterMetricFamily("arena_database_failures", "Statements that failed, by trouble.", labels=["kind"])
        for kind, count in self._snapshot.outages.items():
            family.add_metric([kind], count)
        return family

    def _refusals(self) -> Metric:
        family = CounterMetricFamily("arena_refused_calls", "Refused calls since the start.", labels=["reason"])
        for reason, count in sorted(self._snapshot.refused.items()):
            family.add_metric([reason], count)
        return family

    def _failures(self) -> Metric:
        family = CounterMetricFamily(
            "arena_answer_failures", "Failed attempts since the start.", labels=["model", "kind"]
        )
        for status in self._snapshot.statuses:
            for kind, count in status.failures.items():
                family.add_metric([status.model.id, kind.value], count)
        return family


def _battles(figures: Figures) -> Metric:
    family = CounterMetricFamily("arena_battles", "Battles by what became of them.", labels=["outcome"])
    for outcome in ("started", "votable", "voted", "void", "abandoned"):
        family.add_metric([outcome], getattr(figures, outcome))
    return family


def _kept(windows: Sequence[Kept]) -> Iterator[Metric]:
    """One gauge a target, by window; a window in which nothing could be measured has no sample."""
    for name, words in (
        ("models_ready", "Share of the models that could be asked."),
        ("completion", "Votable battles over started ones, a visitor's own cancellation left out."),
        ("uptime", "Share of the minutes that were served."),
        ("answer_s", "Median seconds from sending to both answers complete."),
    ):
        family = GaugeMetricFamily(f"arena_target_{name}", words, labels=["window"])
        for kept in windows:
            if (value := getattr(kept, name)) is not None:
                family.add_metric([kept.window], value)
        yield family
