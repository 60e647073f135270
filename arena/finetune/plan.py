"""What a job would send, what it would cost, and what is wrong with it; nothing here sends anything."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from arena.errors import ConfigError
from arena.finetune.configuration import BaseModelEntry, PlatformEntry, TuningConfig
from arena.finetune.hyperparameters import EPOCHS, choose_hyperparameters, hyperparameters_of, in_words
from arena.finetune.platform import Method, PlatformName, PlatformSilence, TuningPlatform
from arena.preferences.manifest import Manifest, check_file
from arena.roster import PLATFORM_NAMES

FORMATS: Mapping[PlatformName, Mapping[str, Method]] = {
    "openai": {"openai": "preference", "sft": "supervised"},
    "vertex": {"vertex": "preference"},
}
"""The export formats that a platform is sent, and what it is trained for with them."""

_NAME = re.compile(r"^[a-z0-9][a-z0-9-]{0,39}$")
_SOON = timedelta(days=90)
_MARK_DIGITS = 40


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to have tuned."""

    platform: PlatformName
    file: Path
    base_model: str | None = None
    """`None`: the first of the configuration's models that takes such a file."""
    name: str | None = None
    hyperparameters: Mapping[str, Any] | None = None
    """By the platform's names, over those of the configuration; `None` or `auto` leaves one to the platform."""
    parent: str | None = None
    """The roster's id of the model that is tuned further, where `base_model` is its name at the platform."""
    priced_as: str | None = None
    """The configuration's base model whose price holds, where `base_model` is itself a tuned one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be sent."""

    platform: PlatformName
    base_model: str
    method: Method
    hyperparameters: Mapping[str, Any]
    name: str
    parent: str | None
    file: Path
    training: Manifest
    validation_file: Path | None
    validation: Manifest | None
    epochs: int
    epochs_assumed: bool
    """Whether the platform chooses their number."""
    price: float | None
    """US dollars per million tokens."""
    price_source: str
    """Where the price is from and as of when, a sentence."""
    shuts_down_on: date | None
    problems: Sequence[str]
    """Why it cannot be sent, a sentence each."""
    warnings: Sequence[str]
    """What to know before it is sent."""

    @property
    def platform_name(self) -> str:
        """The platform as people read it."""
        return PLATFORM_NAMES[self.platform]

    @property
    def settings(self) -> str:
        """Every hyperparameter that the method has, with its value, in words."""
        return in_words(self.platform, self.method, self.hyperparameters)

    @property
    def trained_tokens(self) -> int:
        """Estimated tokens that are billed: the file's times the epochs."""
        return self.training.tokens * self.epochs

    @property
    def cost(self) -> float | None:
        """US dollars, estimated; `None` without a price."""
        return None if self.price is None else self.trained_tokens * self.price / 1e6

    @property
    def cost_in_words(self) -> str:
        """The estimate, or that there is none."""
        if self.cost is None:
            return "not known: the configuration has no price for this model"
        return f"{in_dollars(self.cost)} at ${self.price:g} per million trained tokens"

    @property
    def mark(self) -> str:
        """What tells this job from every other: a hash of all that is sent."""
        validation = self.validation.sha256 if self.validation else None
        sent = [self.platform, self.base_model, self.method, dict(self.hyperparameters), self.name]
        text = json.dumps([*sent, self.training.sha256, validation], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:_MARK_DIGITS]

    def as_json(self) -> dict[str, Any]:
        """The plan for programs."""
        return {
            "platform": self.platform,
            "base_model": self.base_model,
            "method": self.method,
            "hyperparameters": dict(self.hyperparameters),
            "name": self.name,
            "parent": self.parent,
            "file": str(self.file),
            "sha256": self.training.sha256,
            "lines": self.training.lines,
            "bytes": self.training.bytes,
            "tokens": self.training.tokens,
            "validation_file": str(self.validation_file) if self.validation_file else None,
            "validation_lines": self.validation.lines if self.validation else None,
            "epochs": self.epochs,
            "epochs_assumed": self.epochs_assumed,
            "trained_tokens": self.trained_tokens,
            "price_per_million": self.price,
            "price_source": self.price_source,
            "estimated_cost": None if self.cost is None else round(self.cost, 4),
            "shuts_down_on": self.shuts_down_on.isoformat() if self.shuts_down_on else None,
            "problems": list(self.problems),
            "warnings": list(self.warnings),
        }


def in_dollars(cost: float) -> str:
    """An estimate in words."""
    return "less than $0.01" if cost < 0.01 else f"about ${cost:,.2f}"


def make_plan(config: TuningConfig, wish: Wish) -> Plan:
    """Read the file and its manifest, and reckon; what is wrong with the job is in the plan's `problems`.

    Raises:
        ConfigError: the file is no training file of this arena or has changed, or the wish names what does not exist.

    """
    training = check_file(wish.file)
    method = _method(wish.platform, wish.file, training)
    validation_file, validation = _validation(wish.file, training)
    platform = config.platform(wish.platform)
    base_model, entry = _base(wish, platform, method)
    hyperparameters = choose_hyperparameters(wish.platform, method, entry.hyperparameters, wish.hyperparameters or {})
    offered = hyperparameters_of(wish.platform, method)
    epochs = next((hyperparameters.get(one.name) for one in offered if one.label == EPOCHS), None)
    plan = Plan(
        platform=wish.platform,
        base_model=base_model,
        method=method,
        hyperparameters=hyperparameters,
        name=_name(wish.name, training),
        parent=wish.parent,
        file=wish.file,
        training=training,
        validation_file=validation_file,
        validation=validation,
        epochs=epochs if isinstance(epochs, int) else platform.assumed_epochs,
        epochs_assumed=not isinstance(epochs, int),
        price=entry.price,
        price_source=_price_source(entry, platform),
        shuts_down_on=None,
        problems=[*_problems_of_files(training, validation), *_problems_of_method(base_model, entry, method)],
        warnings=[],
    )
    return _dated(_dated_platform(plan, platform), entry.shutdown_date)


def preflight(plan: Plan, platform: TuningPlatform) -> Plan:
    """The plan with what the platform itself says to it, for nothing: does the base model exist, are jobs taken."""
    try:
        told = platform.preflight(plan.base_model)
    except PlatformSilence as error:
        return replace(plan, problems=[*plan.problems, str(error)])
    found = replace(plan, problems=[*plan.problems, *told.problems])
    return _dated(found, told.shuts_down_on) if told.shuts_down_on else found


def _problems_of_files(training: Manifest, validation: Manifest | None) -> Sequence[str]:
    return [
        *training.problems,
        *(f"Validation file: {said}" for said in (validation.problems if validation else ())),
    ]


def _problems_of_method(base_model: str, entry: BaseModelEntry, method: Method) -> Sequence[str]:
    return [] if method in entry.methods else [f"{base_model} takes no {method} tuning according to the configuration."]


def _method(platform: PlatformName, file: Path, manifest: Manifest) -> Method:
    accepted = FORMATS[platform]
    if manifest.format not in accepted:
        raise ConfigError(
            f"{file}: is in the format {manifest.format}; {PLATFORM_NAMES[platform]} takes {' or '.join(accepted)}: "
            "export the votes again in that format."
        )
    if manifest.split != "train":
        raise ConfigError(f"{file}: is a validation file; name the training file, the other one is found beside it.")
    return accepted[manifest.format]


def _validation(file: Path, manifest: Manifest) -> tuple[Path | None, Manifest | None]:
    if manifest.partner is None:
        return None, None
    partner = file.with_name(manifest.partner.name)
    stored = check_file(partner)
    if stored.sha256 != manifest.partner.sha256:
        raise ConfigError(f"{partner}: is not the validation file that was exported with {file}; export both again.")
    return (partner, stored) if stored.lines else (None, None)


def _base(wish: Wish, platform: PlatformEntry, method: Method) -> tuple[str, BaseModelEntry]:
    if wish.base_model is None:
        fitting = [name for name, entry in platform.models.items() if method in entry.methods]
        if not fitting:
            raise ConfigError(
                f"ARENA_TUNING_FILE has no base model at {PLATFORM_NAMES[wish.platform]} for {method} tuning."
            )
        return fitting[0], platform.models[fitting[0]]
    entry = platform.models.get(wish.priced_as or wish.base_model)
    if entry is None and wish.parent is None:
        known = ", ".join(platform.models) or "none"
        raise ConfigError(
            f"{wish.base_model}: is no base model of ARENA_TUNING_FILE at {PLATFORM_NAMES[wish.platform]} ({known})."
        )
    return wish.base_model, entry or BaseModelEntry(methods=(method,))


def _name(wished: str | None, training: Manifest) -> str:
    name = wished or f"coaia-{training.sha256[:8]}"
    if not _NAME.match(name):
        raise ConfigError(f"{name}: a name has at most 40 lower case letters, digits and dashes.")
    return name


def _price_source(entry: BaseModelEntry, platform: PlatformEntry) -> str:
    if entry.price is None:
        return ""
    source = platform.prices_from or "the configuration, which does not say where it has it from"
    dated = f"as of {platform.prices_as_of}" if platform.prices_as_of else "of no known date"
    return f"The price is from {source}, {dated}; the platform's own list holds."


def _dated_platform(plan: Plan, platform: PlatformEntry) -> Plan:
    if platform.closes_on is None:
        return plan
    if platform.closes_on <= datetime.now(UTC).date():
        sentence = f"{plan.platform_name} takes no new jobs since {platform.closes_on} according to the configuration."
        return replace(plan, problems=[*plan.problems, sentence])
    if platform.closes_on - datetime.now(UTC).date() < _SOON:
        sentence = f"{plan.platform_name} takes no new jobs from {platform.closes_on} on."
        return replace(plan, warnings=[*plan.warnings, sentence])
    return plan


def _dated(plan: Plan, shuts_down_on: date | None) -> Plan:
    """The plan with the base model's end: a problem if it is over, a warning in any case."""
    if shuts_down_on is None or shuts_down_on == plan.shuts_down_on:
        return plan
    left = (shuts_down_on - datetime.now(UTC).date()).days
    plan = replace(plan, shuts_down_on=shuts_down_on)
    if left <= 0:
        return replace(plan, problems=[*plan.problems, f"{plan.base_model} was shut down on {shuts_down_on}."])
    sentence = f"{plan.base_model}, and what is tuned from it, shuts down on {shuts_down_on}, in {left} days."
    return replace(plan, warnings=[*plan.warnings, sentence])
