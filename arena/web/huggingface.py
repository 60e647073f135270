"""Sign-in with Hugging Face, on a Space: a voter is then the account, and the Space's owner is the operator.

OAuth's authorisation code with PKCE. What the provider says of a person is asked for over the arena's own connection to
it, so nothing that passed through a browser is believed but the code, once, for the state that this browser was given.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlencode

import httpx
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from arena.database import Database
from arena.tables import Voter
from arena.voters import ensure_voter
from arena.web.plain import NEVER_STORED, plain_page
from arena.web.routes import safe_next
from arena.web.session import OPERATOR_COOKIE, VOTER_COOKIE, VOTER_COOKIE_S, CookieRules, Sessions, read_cookies

SIGN_IN = "/login/huggingface"
CALLBACK = "/login/callback"
_STATE_COOKIE = "arena_signing_in"
_STATE_S = 600
_TIMEOUT_S = 10.0
_FAILED = "Hugging Face did not sign you in. Go back and try again; voting needs no account."


@dataclass(frozen=True, slots=True)
class Registration:
    """How this Space is known to the provider, and who owns it; a Space with `hf_oauth: true` is told so."""

    provider: str
    client_id: str
    client_secret: str
    host: str
    owner_name: str
    owner_id: str

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self | None:
        """Read what a Space is told; `None` elsewhere, and on a Space without `hf_oauth`."""
        needed = ("OPENID_PROVIDER_URL", "OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "SPACE_HOST")
        if environment.get("SYSTEM") != "spaces" or not all(name in environment for name in needed):
            return None
        provider, client_id, client_secret, host = (environment[name] for name in needed)
        owner_name, owner_id = environment.get("SPACE_AUTHOR_NAME", ""), environment.get("SPACE_CREATOR_USER_ID", "")
        return cls(provider, client_id, client_secret, host, owner_name, owner_id)

    @property
    def redirect_uri(self) -> str:
        """Where the provider sends people back to."""
        return f"https://{self.host}{CALLBACK}"

    def is_owner(self, person: Mapping[str, Any]) -> bool:
        """Whether this is whose Space it is: by the id of its creator, or by the name that it lies under."""
        by_id = self.owner_id != "" and hmac.compare_digest(str(person["sub"]), self.owner_id)
        return by_id or (self.owner_name != "" and str(person.get("preferred_username", "")) == self.owner_name)


class HubSignIn:
    """The two routes of signing in."""

    def __init__(
        self,
        registration: Registration,
        database: Database,
        sessions: Sessions,
        cookies: CookieRules,
        refused: Callable[[str], None],
    ) -> None:
        """`refused` hears a word for the reason of each refusal."""
        self._registration = registration
        self._database = database
        self._sessions = sessions
        self._cookies = cookies
        self._refused = refused

    def router(self) -> APIRouter:
        """Every route."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route(SIGN_IN, self.begin, methods=["GET"])
        router.add_api_route(CALLBACK, self.finish, methods=["GET"])
        return router

    async def begin(self, request: Request) -> Response:
        """Send the visitor to the provider, with a state and a challenge that only this browser can answer."""
        state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        try:
            async with httpx.AsyncClient(timeout=_TIMEOUT_S) as client:
                endpoints = await self._endpoints(client)
        except (httpx.HTTPError, ValueError, KeyError):
            return self._failed("sign_in_unavailable", 502)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": self._registration.client_id,
            "redirect_uri": self._registration.redirect_uri,
            "scope": "openid profile",
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        answer = RedirectResponse(f"{endpoints['authorization_endpoint']}?{urlencode(asked)}", 303, NEVER_STORED)
        kept = {"state": state, "verifier": verifier, "next": safe_next(request.query_params.get("next", "/"))}
        self._set_cookie(answer, _STATE_COOKIE, self._sessions.seal(kept), _STATE_S)
        return answer

    async def finish(self, request: Request) -> Response:
        """Believe a code that comes with this browser's state; the voter's cookie is the account's from now on."""
        kept = self._sessions.unseal(read_cookies(request.headers).get(_STATE_COOKIE, ""), _STATE_S)
        given = request.query_params
        if kept is None or not hmac.compare_digest(str(kept["state"]).encode(), given.get("state", "").encode()):
            return self._failed("sign_in_state", 400)
        if "code" not in given:
            return self._failed("sign_in_declined", 400)
        try:
            person = await self._ask_who(given["code"], str(kept["verifier"]))
            voter_id = self._sessions.account_id(str(person["sub"]))
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return self._failed("sign_in_refused", 502)
        await self._database.run(self._know, voter_id, str(person.get("preferred_username", ""))[:200])
        answer = RedirectResponse(str(kept["next"]), 303, NEVER_STORED)
        self._set_cookie(answer, _STATE_COOKIE, "", 0)
        self._set_cookie(answer, VOTER_COOKIE, self._sessions.sign_voter(voter_id), VOTER_COOKIE_S)
        if self._registration.is_owner(person):
            self._set_cookie(answer, OPERATOR_COOKIE, self._sessions.open_operator(), self._sessions.session_s)
        return answer

    async def _endpoints(self, client: httpx.AsyncClient) -> Mapping[str, str]:
        answer = await client.get(f"{self._registration.provider.rstrip('/')}/.well-known/openid-configuration")
        told: dict[str, Any] = answer.raise_for_status().json()
        return {name: str(told[name]) for name in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint")}

    async def _ask_who(self, code: str, verifier: str) -> Mapping[str, Any]:
        """Change the code for a token, and the token for what the provider says of its owner."""
        own = self._registration
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": own.redirect_uri,
            "client_id": own.client_id,
            "code_verifier": verifier,
        }
        async with httpx.AsyncClient(timeout=_TIMEOUT_S) as client:
            endpoints = await self._endpoints(client)
            answer = await client.post(endpoints["token_endpoint"], data=form, auth=(own.client_id, own.client_secret))
            token = str(answer.raise_for_status().json()["access_token"])
            headers = {"Authorization": f"Bearer {token}"}
            answer = await client.get(endpoints["userinfo_endpoint"], headers=headers)
            person: dict[str, Any] = answer.raise_for_status().json()
        if not person["sub"]:
            raise ValueError("the provider names nobody")
        return person

    def _know(self, voter_id: str, name: str) -> None:
        """Store which account a voter is."""
        with self._database.write() as session:
            ensure_voter(session, voter_id)
            session.get_one(Voter, voter_id).account = name or None

    def _failed(self, reason: str, status: int) -> Response:
        self._refused(reason)
        page = plain_page("message.html", title="Not signed in", text=_FAILED)
        answer = HTMLResponse(page, status, NEVER_STORED)
        self._set_cookie(answer, _STATE_COOKIE, "", 0)
        return answer

    def _set_cookie(self, answer: Response, name: str, value: str, max_age_s: int) -> None:
        answer.headers.append("Set-Cookie", self._cookies.header(name, value, max_age_s, secure=True))
