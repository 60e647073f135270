import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from arena.database import Database, open_database
from arena.revisions import ensure_revision
from arena.roster import ModelEntry, SamplingDefaults
from arena.tables import ModelRevision

HERON = ModelEntry(id="heron", api_type="vertex", model_name="projects/p/locations/l/models/1", display_name="Heron")


def _ensure(database: Database, model: ModelEntry, deployment: str | None = None) -> tuple[int, int]:
    """(id, number) of the revision."""
    with database.write() as session:
        revision = ensure_revision(session, model, deployment)
        return revision.id, revision.number


def test_the_same_model_stays_the_same_revision(database: Database) -> None:
    assert _ensure(database, HERON) == _ensure(database, HERON)


def test_whatever_changes_the_answers_makes_a_new_revision(database: Database) -> None:
    changes = [
        HERON,
        HERON.model_copy(update={"model_name": "projects/p/locations/l/models/2"}),
        HERON.model_copy(update={"system_prompt": "Be brief."}),
        HERON.model_copy(update={"recommended_config": SamplingDefaults(temperature=0.1)}),
        HERON.model_copy(update={"api_type": "openai"}),
    ]

    numbers = [_ensure(database, changed)[1] for changed in changes]

    assert numbers == [1, 2, 3, 4, 5]


def test_a_model_that_moves_to_another_endpoint_is_another_revision(database: Database) -> None:
    first = _ensure(database, HERON, "projects/p/locations/l/endpoints/10")

    assert _ensure(database, HERON, "projects/p/locations/l/endpoints/11") != first
    assert _ensure(database, HERON, "projects/p/locations/l/endpoints/10") == first


def test_names_may_be_corrected_without_a_new_revision(database: Database) -> None:
    first = _ensure(database, HERON)

    renamed = HERON.model_copy(update={"display_name": "Grey Heron", "family": "waders", "version": "2", "weight": 3.0})
    assert _ensure(database, renamed) == first

    with database.read() as session:
        revision = session.get_one(ModelRevision, first[0])
    assert (revision.display_name, revision.family, revision.version) == ("Grey Heron", "waders", "2")


def test_each_id_numbers_its_own_revisions(database: Database) -> None:
    _ensure(database, HERON)

    assert _ensure(database, HERON.model_copy(update={"id": "egret"}))[1] == 1


def test_what_was_seen_once_is_never_forgotten(database: Database) -> None:
    ids = {_ensure(database, HERON.model_copy(update={"system_prompt": text}))[0] for text in ("a", "b", "c")}

    with database.read() as session:
        assert set(session.scalars(select(ModelRevision.id))) == ids


@pytest.mark.postgres
def test_two_processes_that_meet_a_new_model_at_once_agree_on_its_revision(new_postgres_url: Callable[[], str]) -> None:
    store = open_database(new_postgres_url())
    both_have_looked = threading.Barrier(2, timeout=10)
    waiting = threading.local()

    def wait_once(*_: object) -> None:
        if not getattr(waiting, "over", False):
            waiting.over = True
            both_have_looked.wait()

    event.listen(Session, "before_flush", wait_once)
    try:
        with ThreadPoolExecutor(2) as processes:
            found = list(processes.map(lambda _: _ensure(store, HERON), range(2)))
    finally:
        event.remove(Session, "before_flush", wait_once)

    assert found[0] == found[1]
    store.close()
