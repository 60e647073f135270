"""Which models can be asked now: readiness, rests, half-open trials, retirement; over real providers and servers."""

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from arena.config import Settings
from arena.errors import FailureKind
from arena.fleet import Fleet, ModelState, ModelStatus
from arena.providers.base import Finish, Message, Readiness, Sampling
from arena.providers.demo import DemoProvider, demo_roster
from arena.providers.factory import build_providers, credentials_configured
from arena.roster import ModelEntry, Roster, load_roster
from tests.conftest import SettingsFactory
from tests.provider_asking import TUNED, eventually, openai_entry, vertex_entry
from tests.scripted_openai import ScriptedOpenAI
from tests.scripted_vertex import ScriptedVertex
from tests.scripting import Fault, Script

pytest_plugins = ["tests.provider_fixtures"]

ROOT = Path(__file__).resolve().parent.parent
QUESTION = [Message("user", "Who wins?")]


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def fleet(openai_server: ScriptedOpenAI, make_settings: SettingsFactory, clock: Clock) -> AsyncIterator[Fleet]:
    """`tortoise`, `hare`, `fox` are drawn, `judge` and `retired` never. Three failures rest for 30 s."""
    entries = [
        openai_entry(openai_server.url),
        openai_entry(openai_server.url, id="hare", weight=2.5),
        openai_entry(openai_server.url, id="fox"),
        openai_entry(openai_server.url, id="judge", role="judge"),
        openai_entry(openai_server.url, id="retired", weight=0),
    ]
    built = build(entries, make_settings(), clock)
    await built.prepare()
    yield built
    await built.aclose()


def build(entries: list[ModelEntry], settings: Settings, clock: Clock) -> Fleet:
    roster = Roster({entry.id: entry for entry in entries})
    return Fleet(roster, build_providers(settings, roster), settings, clock=clock)


def status_of(fleet: Fleet, model_id: str) -> ModelStatus:
    return next(status for status in fleet.statuses() if status.model.id == model_id)


def fail(fleet: Fleet, times: int, kind: FailureKind = FailureKind.SERVER_ERROR) -> None:
    for _ in range(times):
        fleet.record_failure("tortoise", kind)


# ── drawing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_ready_models_are_drawn_by_weight_and_judges_and_retired_ones_never(fleet: Fleet) -> None:
    assert fleet.drawable() == {"tortoise": 1.0, "hare": 2.5, "fox": 1.0}
    assert [model.id for model in fleet.nameable()] == ["tortoise", "hare", "fox", "retired"]


async def test_nothing_is_drawn_before_readiness_is_known(
    openai_server: ScriptedOpenAI, make_settings: SettingsFactory, clock: Clock
) -> None:
    fleet = build([openai_entry(openai_server.url)], make_settings(), clock)

    assert fleet.drawable() == {}
    assert status_of(fleet, "tortoise").state is ModelState.STARTING


async def test_the_fleet_streams_through_the_models_provider(fleet: Fleet, openai_server: ScriptedOpenAI) -> None:
    events = [event async for event in fleet.stream("tortoise", QUESTION, Sampling())]

    assert isinstance(events[-1], Finish)
    assert openai_server.told == ("tortoise",)


# ── rests ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_model_rests_after_three_failures_in_a_row_and_not_after_three_in_all(fleet: Fleet) -> None:
    fail(fleet, 2)
    fleet.record_success("tortoise", 100.0)
    fail(fleet, 2)
    assert "tortoise" in fleet.drawable()

    fail(fleet, 1)

    assert fleet.drawable() == {"hare": 2.5, "fox": 1.0}
    status = status_of(fleet, "tortoise")
    assert status.state is ModelState.RESTING
    assert status.resting_until is not None
    assert status.failures == {FailureKind.SERVER_ERROR: 5}
    assert status.answers == 1


async def test_a_rested_model_is_tried_by_one_battle_at_a_time(fleet: Fleet, clock: Clock) -> None:
    fail(fleet, 3)
    clock.now += 29.9
    assert "tortoise" not in fleet.drawable()
    clock.now += 0.2
    assert "tortoise" in fleet.drawable()

    trial = fleet.stream("tortoise", QUESTION, Sampling())

    assert "tortoise" not in fleet.drawable()
    assert [event async for event in trial]
    assert "tortoise" not in fleet.drawable()
    fleet.record_success("tortoise", 50.0)
    assert "tortoise" in fleet.drawable()
    assert status_of(fleet, "tortoise").state is ModelState.READY


async def test_each_failed_trial_doubles_the_rest_up_to_ten_minutes(fleet: Fleet, clock: Clock) -> None:
    fail(fleet, 3)
    rests: list[float] = []
    for _ in range(7):
        started = clock.now
        while "tortoise" not in fleet.drawable():
            clock.now += 1.0
        rests.append(clock.now - started)
        fail(fleet, 1)

    assert rests == [30, 60, 120, 240, 480, 600, 600]


async def test_a_model_without_which_there_is_no_battle_rests_a_tenth_of_the_time_and_longer_each_time(
    openai_server: ScriptedOpenAI, make_settings: SettingsFactory, clock: Clock
) -> None:
    entries = [openai_entry(openai_server.url), openai_entry(openai_server.url, id="hare")]
    fleet = build(entries, make_settings(), clock)
    await fleet.prepare()
    fail(fleet, 3)
    rests: list[float] = []
    for _ in range(4):
        started = clock.now
        while "tortoise" not in fleet.drawable():
            clock.now += 0.5
        rests.append(clock.now - started)
        fleet.stream("tortoise", QUESTION, Sampling())
        assert list(fleet.drawable()) == ["hare"]  # one battle at a time
        fail(fleet, 1)
    await fleet.aclose()

    assert rests == [3, 6, 12, 24]


async def test_failures_of_battles_that_had_begun_before_the_rest_do_not_prolong_it(fleet: Fleet, clock: Clock) -> None:
    fail(fleet, 3)
    clock.now += 10
    fail(fleet, 5)
    clock.now += 20

    assert "tortoise" in fleet.drawable()


async def test_a_trial_that_its_visitor_abandons_leaves_room_for_another(
    fleet: Fleet, clock: Clock, openai_server: ScriptedOpenAI
) -> None:
    openai_server.scripts["tortoise"] = Script("slow and steady", fault=Fault.STALL_MIDWAY, fault_after=1)
    fail(fleet, 3)
    clock.now += 30
    trial = fleet.stream("tortoise", QUESTION, Sampling())

    async def read() -> None:
        async for _ in trial:
            pass

    reading = asyncio.create_task(read())
    await openai_server.until(lambda server: server.stalled["tortoise"] == 1)
    reading.cancel()
    await openai_server.until(lambda server: server.hung_up == ("tortoise",))
    assert "tortoise" not in fleet.drawable()

    clock.now += 1.0

    assert "tortoise" in fleet.drawable()


async def test_withheld_answers_alone_do_not_rest_a_model_and_empty_ones_do(fleet: Fleet) -> None:
    fail(fleet, 20, FailureKind.BLOCKED)
    assert "tortoise" in fleet.drawable()
    assert status_of(fleet, "tortoise").failures == {FailureKind.BLOCKED: 20}

    fail(fleet, 3, FailureKind.EMPTY)

    assert "tortoise" not in fleet.drawable()


async def test_looking_at_a_resting_model_lets_it_be_tried_at_once(fleet: Fleet) -> None:
    fail(fleet, 3)

    await fleet.prepare_one("tortoise")

    assert "tortoise" in fleet.drawable()


async def test_the_median_time_to_the_first_token_is_told(fleet: Fleet) -> None:
    assert status_of(fleet, "tortoise").median_first_token_ms is None

    for taken in (100.0, 900.0, 200.0):
        fleet.record_success("tortoise", taken)

    assert status_of(fleet, "tortoise").median_first_token_ms == 200.0


# ── readiness ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_model_that_is_not_found_is_retired_at_once_and_looked_at_again_after_an_hour(
    fleet: Fleet, clock: Clock
) -> None:
    fail(fleet, 1, FailureKind.NOT_FOUND)

    status = status_of(fleet, "tortoise")
    assert status.state is ModelState.RETIRED
    assert "has no model tortoise (any more)" in status.reason
    assert "tortoise" not in fleet.drawable()
    clock.now += 3600
    await eventually(lambda: "tortoise" in fleet.drawable())


async def test_a_retired_model_can_be_looked_at_by_hand(fleet: Fleet) -> None:
    fail(fleet, 1, FailureKind.NOT_FOUND)

    status = await fleet.prepare_one("tortoise")

    assert status.state is ModelState.READY
    assert status.reason == ""


async def test_a_refused_key_is_named_and_the_model_waits_for_a_better_one(
    fleet: Fleet, clock: Clock, openai_server: ScriptedOpenAI
) -> None:
    openai_server.scripts["tortoise"] = Script(fault=401)
    fail(fleet, 1, FailureKind.UNAUTHORISED)
    assert "refused the API key: check api_key of this entry" in status_of(fleet, "tortoise").reason
    assert "tortoise" not in fleet.drawable()

    openai_server.scripts["tortoise"] = Script("slow and steady")
    clock.now += 10
    fleet.drawable()

    await eventually(lambda: "tortoise" in fleet.drawable())


class CountingDemo(DemoProvider):
    """Counts how often readiness was asked for."""

    looks = 0

    async def prepare(self, model: ModelEntry) -> Readiness:
        self.looks += 1
        return await super().prepare(model)


async def test_a_model_that_stays_not_ready_is_looked_at_less_and_less_often(
    make_settings: SettingsFactory, clock: Clock
) -> None:
    provider = CountingDemo()
    entry = ModelEntry(id="genius", api_type="demo", model_name="genius")
    fleet = Fleet(Roster({"genius": entry}), {"demo": provider}, make_settings(), clock=clock)
    await fleet.prepare()

    looked_at: list[float] = []
    started = clock.now
    while len(looked_at) < 8:
        clock.now += 10
        before = provider.looks
        fleet.drawable()
        for _ in range(5):
            await asyncio.sleep(0)
        if provider.looks > before:
            looked_at.append(clock.now - started)

    assert looked_at == [10, 30, 70, 150, 310, 630, 1230, 1830]
    await fleet.aclose()


async def test_a_bug_in_one_providers_preparation_keeps_no_other_model_from_starting(
    openai_server: ScriptedOpenAI, make_settings: SettingsFactory, clock: Clock
) -> None:
    entries = [openai_entry("http://127.0.0.1:99999/v1", id="broken"), openai_entry(openai_server.url)]
    fleet = build(entries, make_settings(), clock)

    await fleet.prepare()

    assert list(fleet.drawable()) == ["tortoise"]
    assert status_of(fleet, "broken").state is ModelState.NOT_READY
    await fleet.aclose()


async def test_a_missing_variable_makes_a_model_not_ready_with_its_name_and_stops_nothing_else(
    openai_server: ScriptedOpenAI, make_settings: SettingsFactory, clock: Clock
) -> None:
    entries = [
        openai_entry(openai_server.url, id="keyless", missing_variables=("FIRST_KEY", "SECOND_KEY")),
        openai_entry(openai_server.url),
    ]
    fleet = build(entries, make_settings(), clock)

    await fleet.prepare()

    assert list(fleet.drawable()) == ["tortoise"]
    status = status_of(fleet, "keyless")
    assert status.state is ModelState.NOT_READY
    assert status.reason == "FIRST_KEY and SECOND_KEY are not set: set it in the environment or in .env, then restart."
    await fleet.aclose()


async def test_a_server_that_is_started_later_becomes_ready_by_itself(
    make_settings: SettingsFactory, clock: Clock
) -> None:
    with ScriptedOpenAI() as first:
        url = first.url
    fleet = build([openai_entry(url)], make_settings(), clock)
    await fleet.prepare()
    assert status_of(fleet, "tortoise").reason == f"No server answers at {url}: start it, or correct api_base."

    with ScriptedOpenAI({"tortoise": Script()}, port=int(url.split(":")[2].removesuffix("/v1"))):
        clock.now += 10
        await eventually(lambda: "tortoise" in fleet.drawable())
        await fleet.aclose()


async def test_a_moved_deployment_is_told_at_once(
    vertex_server: ScriptedVertex, make_settings: SettingsFactory, clock: Clock, google_account: str
) -> None:
    fleet = build([vertex_entry(vertex_server.url)], make_settings(google_credentials_json=google_account), clock)
    await fleet.prepare()
    before = fleet.deployment("gemini")
    moved_to = vertex_server.deploy(TUNED, "4712")

    assert [event async for event in fleet.stream("gemini", QUESTION, Sampling())]

    assert before != moved_to
    assert fleet.deployment("gemini") == moved_to
    assert status_of(fleet, "gemini").deployment == moved_to
    await fleet.aclose()


async def test_a_deployment_that_a_look_finds_is_told_before_the_model_answers_from_it(
    vertex_server: ScriptedVertex, make_settings: SettingsFactory, clock: Clock, google_account: str
) -> None:
    fleet = build([vertex_entry(vertex_server.url)], make_settings(google_credentials_json=google_account), clock)
    told: list[str | None] = []
    fleet.on_ready(lambda model: told.append(fleet.deployment(model.id)))
    await fleet.prepare()
    first = fleet.deployment("gemini")
    await fleet.prepare()
    assert told == [first]

    moved_to = vertex_server.deploy(TUNED, "4712")
    await fleet.prepare()

    assert told == [first, moved_to]
    await fleet.aclose()


async def test_an_undeployed_model_is_not_ready_and_comes_back_when_it_is_deployed(
    vertex_server: ScriptedVertex, make_settings: SettingsFactory, clock: Clock, google_account: str
) -> None:
    vertex_server.undeploy(TUNED)
    fleet = build([vertex_entry(vertex_server.url)], make_settings(google_credentials_json=google_account), clock)
    await fleet.prepare()
    assert "is not deployed" in status_of(fleet, "gemini").reason

    vertex_server.deploy(TUNED)
    clock.now += 10
    await eventually(lambda: list(fleet.drawable()) == ["gemini"])
    await fleet.aclose()


async def test_a_stalled_token_endpoint_keeps_no_other_model_from_starting(
    openai_server: ScriptedOpenAI,
    vertex_server: ScriptedVertex,
    make_settings: SettingsFactory,
    clock: Clock,
    google_account: str,
) -> None:
    vertex_server.token_fault = Fault.STALL_HEADERS
    settings = make_settings(google_credentials_json=google_account, first_token_s=5.0)
    fleet = build([vertex_entry(vertex_server.url), openai_entry(openai_server.url)], settings, clock)

    preparing = asyncio.create_task(fleet.prepare())
    await vertex_server.until(lambda server: server.stalled["token"] == 1)
    await eventually(fleet.drawable, timeout_s=4)

    assert list(fleet.drawable()) == ["tortoise"]
    preparing.cancel()
    await fleet.aclose()


async def test_a_failure_is_one_line_in_the_log_with_its_model_and_cause(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        fleet.record_failure("tortoise", FailureKind.RATE_LIMITED, "429 slow down (request req_7)")

    assert caplog.messages == ["model tortoise: rate_limited: 429 slow down (request req_7)"]


# ── what is configured, and what is imported ────────────────────────────────────────────────────────────────────────


@pytest.fixture
def google_account(vertex_server: ScriptedVertex) -> str:
    """The JSON of a service account of the scripted Vertex AI."""
    return json.dumps(vertex_server.credentials())


def test_credentials_are_found_without_a_network(
    make_settings: SettingsFactory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "gcloud"))
    official = openai_entry("https://api.openai.com/v1")
    tuned = vertex_entry("https://us-central1-aiplatform.googleapis.com")
    settings = make_settings()

    assert not credentials_configured(official, settings)
    assert credentials_configured(openai_entry("https://api.openai.com/v1", api_key="sk-x"), settings)
    assert credentials_configured(openai_entry("http://127.0.0.1:8000/v1"), settings)
    assert not credentials_configured(openai_entry("http://127.0.0.1/v1", missing_variables=("KEY",)), settings)
    assert all(credentials_configured(entry, settings) for entry in demo_roster())
    assert not credentials_configured(tuned, settings)
    assert credentials_configured(tuned, make_settings(google_credentials_json="{}"))
    (tmp_path / "gcloud").mkdir()
    (tmp_path / "gcloud" / "application_default_credentials.json").write_text("{}")
    assert credentials_configured(tuned, settings)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/anywhere/key.json")
    assert credentials_configured(tuned, settings)


def test_the_shipped_roster_needs_one_provider_of_each_platform(make_settings: SettingsFactory) -> None:
    providers: Mapping[str, object] = build_providers(make_settings(), load_roster(ROOT / "models.yaml", {}))

    assert sorted(providers) == ["openai", "vertex"]


_IMPORTED_BY = """
import asyncio, sys
from arena.config import load_settings
from arena.fleet import Fleet
from arena.providers.factory import build_providers
from arena.roster import Roster, ModelEntry
entry = ModelEntry(id="m", api_type=sys.argv[1], model_name=sys.argv[3], api_base=sys.argv[2], project_id="p",
                   location="us-central1")
async def main():
    roster, settings = Roster({"m": entry}), load_settings()
    fleet = Fleet(roster, build_providers(settings, roster), settings)
    print("built", *sorted({"openai", "google.genai", "google.auth", "httpx", "httpx2"} & set(sys.modules)))
    await fleet.prepare()
    print("prepared", *sorted({"openai", "google.genai", "google.cloud.aiplatform", "vertexai"} & set(sys.modules)))
    print(fleet.statuses()[0].state)
    await fleet.aclose()
asyncio.run(main())
"""


def imported_by(*arguments: str, **environment: str) -> list[str]:
    """What a fresh process says about its imports."""
    finished = subprocess.run(
        [sys.executable, "-c", _IMPORTED_BY, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", **environment},
    )
    return finished.stdout.splitlines()


@pytest.mark.slow
def test_an_arena_without_vertex_never_imports_googles_sdk(openai_server: ScriptedOpenAI) -> None:
    said = imported_by("openai", openai_server.url, "tortoise")

    assert said == ["built", "prepared openai", "ready"]


@pytest.mark.slow
def test_an_arena_without_openai_never_imports_its_sdk(vertex_server: ScriptedVertex, google_account: str) -> None:
    said = imported_by("vertex", vertex_server.url, TUNED, ARENA_GOOGLE_CREDENTIALS_JSON=google_account)

    assert said == ["built", "prepared google.genai", "ready"]
