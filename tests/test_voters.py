from arena.database import Database
from arena.tables import Voter
from arena.voters import ensure_voter, hash_address


def test_an_address_is_hashed_with_the_arenas_secret() -> None:
    here = hash_address("secret", "192.0.2.7")

    assert here == hash_address("secret", "192.0.2.7")
    assert here != hash_address("secret", "192.0.2.8")
    assert here != hash_address("another secret", "192.0.2.7")
    assert "192" not in here
    assert hash_address("secret", "") == ""


def test_a_voters_row_is_made_once(database: Database) -> None:
    for _ in range(2):
        with database.write() as session:
            ensure_voter(session, "anna")
            ensure_voter(session, "anna")

    with database.read() as session:
        assert session.query(Voter).count() == 1
