"""Signed cookies, and visitors' addresses."""

import pytest
from starlette.datastructures import Headers

from arena.web.session import (
    OPERATOR_COOKIE,
    VOTER_COOKIE,
    CookieRules,
    Sessions,
    is_https,
    visitor_address,
)
from tests.conftest import SettingsFactory


@pytest.fixture
def sessions(make_settings: SettingsFactory) -> Sessions:
    return Sessions(b"a secret", "open sesame", make_settings())


def with_cookie(name: str, value: str) -> Headers:
    return Headers({"cookie": f"theme=dark; {name}={value}"})


def test_a_visitor_is_known_again_by_the_cookie(sessions: Sessions) -> None:
    cookie = sessions.new_voter()

    first = sessions.voter_from_headers(with_cookie(VOTER_COOKIE, cookie), "192.0.2.1", "page one")
    again = sessions.voter_from_headers(with_cookie(VOTER_COOKIE, cookie), "198.51.100.7", "page two")

    assert first.voter_id == again.voter_id
    assert (first.session, again.session) == ("page one", "page two")


def test_two_visitors_get_different_ids(sessions: Sessions) -> None:
    ids = {sessions.voter_id(with_cookie(VOTER_COOKIE, sessions.new_voter())) for _ in range(20)}

    assert len(ids) == 20


@pytest.mark.parametrize("forged", ["", "0123456789abcdef", "someone-else.c2lnbmVk", "a.b.c", "é"])
def test_a_cookie_that_the_arena_did_not_sign_names_nobody(sessions: Sessions, forged: str) -> None:
    assert sessions.voter_id(with_cookie(VOTER_COOKIE, forged)) is None


def test_an_operators_cookie_is_no_visitors_cookie(sessions: Sessions) -> None:
    assert sessions.voter_id(with_cookie(VOTER_COOKIE, sessions.open_operator())) is None
    assert not sessions.is_operator(with_cookie(OPERATOR_COOKIE, sessions.new_voter()))


def test_a_cookie_signed_with_another_secret_is_refused(sessions: Sessions, make_settings: SettingsFactory) -> None:
    other = Sessions(b"another secret", "open sesame", make_settings())

    assert sessions.voter_id(with_cookie(VOTER_COOKIE, other.new_voter())) is None
    assert not sessions.is_operator(with_cookie(OPERATOR_COOKIE, other.open_operator()))


def test_without_cookies_a_page_keeps_its_visitor(sessions: Sessions) -> None:
    first = sessions.voter_from_headers(Headers(), "192.0.2.1", "page one")

    assert sessions.voter_from_headers(Headers(), "192.0.2.1", "page one").voter_id == first.voter_id
    assert sessions.voter_from_headers(Headers(), "192.0.2.1", "page two").voter_id != first.voter_id
    assert "page one" not in first.voter_id


def test_the_address_is_known_by_a_keyed_hash_only(sessions: Sessions, make_settings: SettingsFactory) -> None:
    voter = sessions.voter_from_headers(Headers(), "192.0.2.1", "page")
    other = Sessions(b"another secret", "open sesame", make_settings())

    assert "192" not in voter.address_hash
    assert voter.address_hash == sessions.address_hash(Headers(), "192.0.2.1")
    assert voter.address_hash != other.address_hash(Headers(), "192.0.2.1")


def test_one_household_is_one_address_however_it_moves_in_its_network(sessions: Sessions) -> None:
    def known_as(address: str) -> str:
        return sessions.address_hash(Headers(), address)

    assert known_as("2001:db8:1:2:aaaa::1") == known_as("2001:db8:1:2:bbbb::2")
    assert known_as("2001:db8:1:2::1") != known_as("2001:db8:1:3::1")
    assert known_as("::ffff:192.0.2.1") == known_as("192.0.2.1")
    assert known_as("192.0.2.1:50001") == known_as("192.0.2.1:50002") == known_as("192.0.2.1")
    assert known_as("[2001:db8:1:2::1]:50001") == known_as("2001:db8:1:2::2")


def test_a_visitor_cannot_choose_the_address_they_are_known_by() -> None:
    forged = Headers({"x-forwarded-for": "203.0.113.9, 198.51.100.7"})

    assert visitor_address(forged, "192.0.2.1", hops=0) == "192.0.2.1"
    assert visitor_address(forged, "192.0.2.1", hops=1) == "198.51.100.7"
    assert visitor_address(forged, "192.0.2.1", hops=2) == "203.0.113.9"
    assert visitor_address(Headers(), "192.0.2.1", hops=1) == "192.0.2.1"


def test_forwarded_addresses_of_several_headers_are_one_list() -> None:
    headers = Headers(raw=[(b"x-forwarded-for", b"203.0.113.9"), (b"x-forwarded-for", b"198.51.100.7")])

    assert visitor_address(headers, "192.0.2.1", hops=1) == "198.51.100.7"


def test_https_is_believed_from_a_trusted_proxy_only() -> None:
    headers = Headers({"x-forwarded-proto": "https"})

    assert not is_https(headers, "http", hops=0)
    assert is_https(headers, "http", hops=1)
    assert is_https(Headers(), "https", hops=0)


def test_an_operators_session_opens_and_closes(sessions: Sessions) -> None:
    headers = with_cookie(OPERATOR_COOKIE, sessions.open_operator())
    elsewhere = with_cookie(OPERATOR_COOKIE, sessions.open_operator())
    assert sessions.is_operator(headers)

    sessions.close_operator(headers)

    assert not sessions.is_operator(headers)
    assert sessions.is_operator(elsewhere)


def test_a_session_ends_by_itself(make_settings: SettingsFactory) -> None:
    now = 1_000_000.0
    sessions = Sessions(b"a secret", "open sesame", make_settings(session_hours=12), clock=lambda: now)
    headers = with_cookie(OPERATOR_COOKIE, sessions.open_operator())

    now += 12 * 3600 - 1
    assert sessions.is_operator(headers)
    now += 1
    assert not sessions.is_operator(headers)


def test_changing_the_password_closes_every_session(sessions: Sessions, make_settings: SettingsFactory) -> None:
    changed = Sessions(b"a secret", "a new password", make_settings())

    assert not changed.is_operator(with_cookie(OPERATOR_COOKIE, sessions.open_operator()))


@pytest.mark.parametrize("given", ["", "open", "Open sesame", "open sesame ", "öpen sesame"])
def test_only_the_password_matches(sessions: Sessions, given: str) -> None:
    assert sessions.password_matches("open sesame")
    assert not sessions.password_matches(given)


class Untouched(str):
    """A password that may be hashed, and not compared: `==` ends at the first wrong letter, and so tells it."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        raise AssertionError("compared letter by letter")


@pytest.mark.parametrize(("given", "matches"), [("open sesame", True), ("open sesamf", False)])
def test_a_password_is_compared_in_a_time_that_tells_nothing(
    make_settings: SettingsFactory, given: str, matches: bool
) -> None:
    sessions = Sessions(b"a secret", Untouched("open sesame"), make_settings())

    assert sessions.password_matches(Untouched(given)) is matches


def test_cookies_are_out_of_reach_of_scripts_and_other_sites() -> None:
    plain = CookieRules().header("arena_voter", "x", 60, secure=False)
    https = CookieRules().header("arena_voter", "x", 60, secure=True)
    framed = CookieRules(framed=True).header("arena_voter", "x", 60, secure=False)

    assert plain == "arena_voter=x; Path=/; Max-Age=60; HttpOnly; SameSite=Lax"
    assert https == plain + "; Secure"
    assert framed == "arena_voter=x; Path=/; Max-Age=60; HttpOnly; SameSite=None; Secure; Partitioned"
