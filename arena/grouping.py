"""What one row of a board stands for: a revision of a model, a platform, or one version of a family."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from arena.roster import PLATFORM_NAMES
from arena.tables import ModelRevision

Grouping = Literal["model", "platform", "version"]
"""What one row stands for: a model's revision, all models of a platform, or one version of a family."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A row before it is rated: whom it stands for."""

    revisions: tuple[int, ...]
    model_id: str
    display_name: str
    platform: str
    family: str | None
    version: str | None


def group_revisions(revisions: Sequence[ModelRevision], by: Grouping) -> Sequence[Entry]:
    """Group the revisions into rows. Without a version of its own a revision is never merged with another."""
    if by == "platform":
        return [_platform_entry(platform, revisions) for platform in sorted({r.platform for r in revisions})]
    namesakes = Counter(r.model_id for r in revisions)
    if by == "version":
        families: dict[tuple[str, ...], list[ModelRevision]] = {}
        for r in revisions:
            key = (r.family or r.model_id, r.version) if r.version else (r.model_id, "", str(r.number))
            families.setdefault(key, []).append(r)
        return [_version_entry(members, namesakes) for members in families.values()]
    return [_model_entry(r, namesakes) for r in revisions]


def _platform_entry(platform: str, revisions: Sequence[ModelRevision]) -> Entry:
    members = tuple(r.id for r in revisions if r.platform == platform)
    name = PLATFORM_NAMES.get(platform, platform)
    return Entry(members, platform, name, name, None, None)


def _version_entry(members: Sequence[ModelRevision], namesakes: Mapping[str, int]) -> Entry:
    first = members[0]
    if not first.version:
        return _model_entry(first, namesakes)
    family = first.family or first.model_id
    platforms = dict.fromkeys(PLATFORM_NAMES.get(r.platform, r.platform) for r in members)
    ids = tuple(r.id for r in members)
    return Entry(ids, family, f"{family} {first.version}", ", ".join(platforms), first.family, first.version)


def _model_entry(revision: ModelRevision, namesakes: Mapping[str, int]) -> Entry:
    shared = namesakes[revision.model_id] > 1
    name = f"{revision.display_name} (revision {revision.number})" if shared else revision.display_name
    platform = PLATFORM_NAMES.get(revision.platform, revision.platform)
    return Entry((revision.id,), revision.model_id, name, platform, revision.family, revision.version)
