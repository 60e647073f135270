import pytest

from arena.database import Database
from arena.errors import BattleError
from arena.tables import Voter
from arena.voters import ADDRESS_SHARE, BattleLimits, VoterIdentity, ensure_voter, hash_address
from tests.conftest import SettingsFactory


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits(make_settings: SettingsFactory, clock: Clock) -> BattleLimits:
    return BattleLimits(make_settings(battles_per_minute=2), clock)


def test_a_voter_may_start_so_many_battles_in_any_minute(limits: BattleLimits, clock: Clock) -> None:
    anna = VoterIdentity("anna")
    limits.check(anna)
    clock.now += 40
    limits.check(anna)

    with pytest.raises(BattleError, match="in 20 seconds"):
        limits.check(anna)

    clock.now += 20
    limits.check(anna)
    with pytest.raises(BattleError, match="in 40 seconds"):
        limits.check(anna)


def test_a_refused_battle_is_not_counted(limits: BattleLimits, clock: Clock) -> None:
    anna = VoterIdentity("anna")
    limits.check(anna)
    limits.check(anna)
    for _ in range(10):
        with pytest.raises(BattleError):
            limits.check(anna)

    clock.now += 60

    limits.check(anna)


def test_one_voter_does_not_use_up_anothers_battles(limits: BattleLimits) -> None:
    limits.check(VoterIdentity("anna", "here"))
    limits.check(VoterIdentity("anna", "here"))

    limits.check(VoterIdentity("ben", "here"))


def test_new_names_at_one_address_run_into_the_addresss_limit(limits: BattleLimits) -> None:
    for number in range(2 * ADDRESS_SHARE):
        limits.check(VoterIdentity(f"throwaway-{number}", "here"))

    with pytest.raises(BattleError, match="in 60 seconds"):
        limits.check(VoterIdentity("one more", "here"))
    limits.check(VoterIdentity("elsewhere", "there"))


def test_voters_without_an_address_share_no_limit(limits: BattleLimits) -> None:
    for number in range(5 * ADDRESS_SHARE):
        limits.check(VoterIdentity(f"voter-{number}"))


def test_yesterdays_voters_take_no_memory(make_settings: SettingsFactory, clock: Clock) -> None:
    limits = BattleLimits(make_settings(), clock)
    for number in range(10_001):
        limits.check(VoterIdentity(f"voter-{number}"))
    clock.now += 61

    limits.check(VoterIdentity("anna"))

    assert len(limits) == 1


def test_the_last_second_is_said_plainly(limits: BattleLimits, clock: Clock) -> None:
    limits.check(VoterIdentity("anna"))
    limits.check(VoterIdentity("anna"))
    clock.now += 59.5

    with pytest.raises(BattleError, match="in a second"):
        limits.check(VoterIdentity("anna"))


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
