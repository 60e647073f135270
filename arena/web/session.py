"""Who is asking: the visitor's and the operator's signed cookies, and the address they come from."""

import hashlib
import hmac
import ipaddress
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from itsdangerous import BadSignature, Signer, URLSafeSerializer, URLSafeTimedSerializer
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import Scope

from arena.config import Settings
from arena.voters import VoterIdentity, hash_address

VOTER_COOKIE = "arena_voter"
OPERATOR_COOKIE = "arena_operator"
ACCOUNT = "hf-"
"""How the id of a voter begins who signed in."""
_LONGEST_VOTER = 200
"""Characters of a voter's cookie; what is longer was not signed here."""
_VOTERS_REMEMBERED = 4096
VOTER_COOKIE_S = 400 * 24 * 3600
"""The longest that browsers keep a cookie."""


_ADDRESS_HEADERS = frozenset({b"x-forwarded-host", b"x-forwarded-proto", b"x-gradio-server"})


class PageRequest(Protocol):
    """What a page's event knows of its request; gradio's `Request` has this shape."""

    @property
    def headers(self) -> Headers:
        """The headers of the HTTP request that started the event."""
        ...

    @property
    def client(self) -> "_Client | None":
        """The other end of the connection."""
        ...

    @property
    def session_hash(self) -> str | None:
        """The page's connection, named by the browser itself."""
        ...


class _Client(Protocol):
    @property
    def host(self) -> str: ...


@dataclass(frozen=True, slots=True)
class CookieRules:
    """How this arena's cookies travel."""

    framed: bool = False
    """The page lies in another site's frame, as on a Hugging Face Space."""

    def header(self, name: str, value: str, max_age_s: int, *, secure: bool) -> str:
        """Spell out a Set-Cookie header; a `max_age_s` of 0 deletes the cookie."""
        parts = [f"{name}={value}", "Path=/", f"Max-Age={max_age_s}", "HttpOnly"]
        if self.framed:
            parts += ["SameSite=None", "Secure", "Partitioned"]
        else:
            parts += ["SameSite=Lax", *(["Secure"] if secure else [])]
        return "; ".join(parts)


class Sessions:
    """Signs cookies and reads them back. One per process."""

    def __init__(
        self, secret: bytes, password: str, settings: Settings, clock: Callable[[], float] = time.time
    ) -> None:
        """`password` opens operator sessions; changing it closes those that were opened with another one."""
        self._secret = secret
        self._password = password
        self._hours = settings.session_hours
        self._hops = settings.forwarded_hops
        self._voters = Signer(secret, salt=b"voter", digest_method=hashlib.sha256)
        self._known_voter = lru_cache(_VOTERS_REMEMBERED)(self._unsigned_voter)  # asked three times for each request
        self._operators = URLSafeSerializer(secret, salt=b"operator", signer_kwargs={"digest_method": hashlib.sha256})
        self._sealed = URLSafeTimedSerializer(secret, salt=b"seal", signer_kwargs={"digest_method": hashlib.sha256})
        self._clock = clock
        self._closed: dict[str, float] = {}

    def new_voter(self) -> str:
        """Make a visitor's cookie value: a random id, signed."""
        return self._voters.sign(secrets.token_hex(16)).decode()

    def sign_voter(self, voter_id: str) -> str:
        """Make the cookie value of a known voter."""
        return self._voters.sign(voter_id).decode()

    def account_id(self, subject: str) -> str:
        """The voter's id of a signed-in account: always the same, and of no use to whoever lacks the secret."""
        return ACCOUNT + self._hash("account", subject)

    def seal(self, data: Mapping[str, str]) -> str:
        """Sign data that a browser keeps for a while."""
        return self._sealed.dumps(dict(data))

    def unseal(self, value: str, max_age_s: int) -> Mapping[str, str] | None:
        """What `seal` signed at most `max_age_s` ago; `None` for anything else."""
        try:
            data: dict[str, str] = self._sealed.loads(value, max_age=max_age_s)
        except BadSignature:
            return None
        return data

    def voter_id(self, headers: Headers) -> str | None:
        """The visitor's id from the cookie; `None` without a cookie that this arena signed."""
        value = read_cookies(headers).get(VOTER_COOKIE, "")
        return self._known_voter(value) if len(value) <= _LONGEST_VOTER else None

    def _unsigned_voter(self, value: str) -> str | None:
        try:
            return self._voters.unsign(value).decode()
        except BadSignature:
            return None

    def voter(self, request: PageRequest) -> VoterIdentity:
        """Who started a page's event."""
        peer = request.client.host if request.client else ""
        return self.voter_from_headers(request.headers, peer, request.session_hash)

    def voter_from_headers(self, headers: Headers, peer: str, session_hash: str | None) -> VoterIdentity:
        """Tell who asks; without cookies the id lasts as long as the page."""
        session = session_hash or ""
        voter_id = self.voter_id(headers) or self._hash("session", session or secrets.token_hex(16))
        return VoterIdentity(voter_id, self.address_hash(headers, peer), session)

    def address_hash(self, headers: Headers, peer: str) -> str:
        """A keyed hash of the visitor's address, for limits."""
        return hash_address(self._secret.decode(), _network(visitor_address(headers, peer, self._hops)))

    def open_operator(self) -> str:
        """Make an operator's cookie value, good for `session_hours`."""
        until = self._clock() + self.session_s
        return self._operators.dumps({"id": secrets.token_hex(16), "until": until, "key": self._password_mark()})

    def is_operator(self, headers: Headers) -> bool:
        """Whether the request carries an operator's session that is neither expired nor closed."""
        return self._operator_session(headers) is not None

    def is_operators_page(self, request: PageRequest) -> bool:
        """Whether a page's event comes from the operator."""
        return self.is_operator(request.headers)

    def close_operator(self, headers: Headers) -> tuple[str, float] | None:
        """End the request's operator session: its cookie opens nothing here any more, wherever it was copied to.

        Returns its id and until when it would have been open, to be kept; `None` where there was none.
        """
        session = self._operator_session(headers)
        if session is None:
            return None
        closed = str(session["id"]), float(session["until"])
        self.hear_closed(dict([closed]))
        return closed

    def hear_closed(self, sessions: Mapping[str, float]) -> None:
        """Learn of sessions that were closed, here or by another process: until when each would have been open."""
        now = self._clock()
        self._closed = {name: until for name, until in {**self._closed, **sessions}.items() if until > now}

    def password_matches(self, given: str) -> bool:
        """Compare in a time that tells nothing."""
        return hmac.compare_digest(given.encode(), self._password.encode())

    @property
    def session_s(self) -> int:
        """How long an operator's session lasts, in seconds."""
        return int(self._hours * 3600)

    def _operator_session(self, headers: Headers) -> dict[str, Any] | None:
        value = read_cookies(headers).get(OPERATOR_COOKIE, "")
        try:
            session: dict[str, Any] = self._operators.loads(value)
        except BadSignature:
            return None
        of_this_password = hmac.compare_digest(session["key"], self._password_mark())
        open_still = session["until"] > self._clock() and session["id"] not in self._closed
        return session if of_this_password and open_still else None

    def _password_mark(self) -> str:
        return self._hash("password", self._password)

    def _hash(self, purpose: str, value: str) -> str:
        return hmac.new(self._secret, f"{purpose}\0{value}".encode(), hashlib.sha256).hexdigest()[:32]


def read_cookies(headers: Headers) -> Mapping[str, str]:
    """The request's cookies by name."""
    return cookie_parser(headers.get("cookie", ""))


def visitor_address(headers: Headers, peer: str, hops: int) -> str:
    """The visitor's address as the outermost of `hops` trusted proxies saw it.

    Each proxy appends who spoke to it, so entries further left than that were written by the visitor and prove nothing.
    """
    if not hops:
        return peer
    entries = [entry.strip() for entry in ",".join(headers.getlist("x-forwarded-for")).split(",") if entry.strip()]
    return entries[-min(hops, len(entries))] if entries else peer


def is_https(headers: Headers, scheme: str, hops: int) -> bool:
    """Whether the visitor came over HTTPS, which only a trusted proxy can say where one stands in front."""
    if not hops:
        return scheme == "https"
    return headers.get("x-forwarded-proto", scheme).split(",")[-1].strip() == "https"


def with_proven_headers(scope: Scope, hops: int) -> Scope:
    """The request as Gradio may see it, which takes its own address from whatever headers say.

    Only the last entry of each is a trusted proxy's word, and without such a proxy none is. The scheme alone is always
    told: it gives nobody anything, and a page served over HTTPS needs it.
    """
    headers: list[tuple[bytes, bytes]] = []
    said: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name not in _ADDRESS_HEADERS:
            headers.append((name, value))
        elif name == b"x-forwarded-proto" or (hops and name == b"x-forwarded-host"):
            said[name] = value.rpartition(b",")[2].strip()
    return {**scope, "headers": [*headers, *said.items()]}


def _network(address: str) -> str:
    """The address, or for IPv6 the /64 that one household can move in freely."""
    try:
        parsed = ipaddress.ip_address(_without_port(address))
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def _without_port(address: str) -> str:
    """Some proxies add the visitor's port, which is another one with each connection."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address
