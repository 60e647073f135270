"""Signing in with Hugging Face, against a scripted provider that checks what it is sent."""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers

from app import build_app
from arena.config import load_settings
from arena.tables import Voter
from arena.web.huggingface import Registration
from tests.serving import served
from tests.ui_fixtures import parts_of

HOST = "owner-arena.hf.space"
OWNER = {"sub": "id-of-the-owner", "preferred_username": "olga"}
GUEST = {"sub": "id-of-a-guest", "preferred_username": "gustav"}


@dataclass
class Provider:
    """Hugging Face, as far as signing in goes: each code works once, for the browser whose challenge it was given."""

    people: dict[str, Mapping[str, str]] = field(default_factory=dict)
    challenges: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    url: str = ""

    def agree(self, asked: str, person: Mapping[str, str]) -> dict[str, str]:
        """Let somebody agree on the page that the arena sent them to; what the provider sends them back with."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(asked).query).items()}
        assert asked.startswith(f"{self.url}/authorize?")
        assert query["client_id"] == "the-space"
        assert query["response_type"] == "code"
        assert query["redirect_uri"] == f"https://{HOST}/login/callback"
        assert query["code_challenge_method"] == "S256"
        code = f"code-{len(self.people)}"
        self.people[code] = person
        self.challenges[code] = query["code_challenge"]
        return {"code": code, "state": query["state"]}

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/.well-known/openid-configuration")
        def configuration() -> dict[str, str]:
            places = {"authorization": "authorize", "token": "token", "userinfo": "userinfo"}
            return {f"{name}_endpoint": f"{self.url}/{path}" for name, path in places.items()}

        @app.post("/token")
        async def token(request: Request) -> JSONResponse:
            form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
            digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            secret = base64.b64encode(b"the-space:s3cret").decode()
            code = form.get("code", "")
            known = request.headers.get("authorization") == f"Basic {secret}"
            if not known or self.challenges.pop(code, None) != challenge:
                return JSONResponse({"error": "invalid_grant"}, 400)
            self.tokens[f"token-of-{code}"] = code
            return JSONResponse({"access_token": f"token-of-{code}", "token_type": "bearer"})

        @app.get("/userinfo")
        def userinfo(request: Request) -> JSONResponse:
            code = self.tokens.get(request.headers.get("authorization", "").removeprefix("Bearer "))
            return JSONResponse(dict(self.people[code]) if code else {}, 200 if code else 401)

        return app


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    scripted = Provider()
    with served(scripted.app()) as url:
        scripted.url = url
        yield scripted


@pytest.fixture(scope="module")
def arena(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, FastAPI]]:
    """An arena that believes to be on a Space of Olga's."""
    told = {
        "SYSTEM": "spaces",
        "OPENID_PROVIDER_URL": provider.url,
        "OAUTH_CLIENT_ID": "the-space",
        "OAUTH_CLIENT_SECRET": "s3cret",
        "SPACE_HOST": HOST,
        "SPACE_AUTHOR_NAME": "olga",
        "SPACE_CREATOR_USER_ID": "id-of-the-owner",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in told.items():
            patch.setenv(name, value)
        app = build_app(load_settings(data_dir=tmp_path_factory.mktemp("space"), demo=True))
        with served(app) as url:
            yield url, app


@dataclass
class Browser:
    """A browser that keeps cookies although this test has no HTTPS."""

    url: str
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **params: str) -> httpx.Response:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = httpx.get(self.url + path, params=params or None, headers={"Cookie": cookie}, timeout=30, verify=False)
        for line in answer.headers.get_list("set-cookie"):
            name, _, rest = line.partition("=")
            self.cookies[name] = rest.partition(";")[0]
        return answer

    @property
    def headers(self) -> Headers:
        return Headers({"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())})

    def begin(self, path: str = "/login/huggingface?next=/leaderboard") -> str:
        """Ask to sign in; where the provider's page is."""
        answer = self.get(path)
        assert answer.status_code == 303
        return str(answer.headers["location"])


def sessions_of(app: FastAPI) -> Any:
    return parts_of(app).sessions


def test_a_voter_is_the_account_wherever_they_sign_in(arena: tuple[str, FastAPI], provider: Provider) -> None:
    url, app = arena
    ids = []
    for _ in range(2):
        browser = Browser(url)
        back = browser.get("/login/callback", **provider.agree(browser.begin(), GUEST))
        assert (back.status_code, back.headers["location"]) == (303, "/leaderboard")
        ids.append(sessions_of(app).voter_id(browser.headers))
        assert not sessions_of(app).is_operator(browser.headers)

    assert ids[0] == ids[1]
    assert ids[0].startswith("hf-")
    assert GUEST["sub"] not in ids[0]
    with parts_of(app).database.read() as session:
        assert session.get_one(Voter, ids[0]).account == "gustav"


def test_the_owner_of_the_space_is_its_operator(arena: tuple[str, FastAPI], provider: Provider) -> None:
    url, app = arena
    browser = Browser(url)
    browser.get("/login/callback", **provider.agree(browser.begin(), OWNER))

    assert sessions_of(app).is_operator(browser.headers)


def test_a_namesake_by_id_alone_or_an_empty_owner_opens_nothing() -> None:
    known = Registration("https://hub", "id", "secret", HOST, "", "")
    assert not known.is_owner({"sub": "", "preferred_username": ""})
    assert not Registration("https://hub", "id", "secret", HOST, "olga", "1").is_owner({"sub": "olga"})
    assert Registration("https://hub", "id", "secret", HOST, "an-organisation", "1").is_owner({"sub": "1"})


def test_a_state_of_another_browser_a_replay_and_a_forged_code_are_refused(
    arena: tuple[str, FastAPI], provider: Provider
) -> None:
    url, app = arena
    victim, attacker = Browser(url), Browser(url)
    back = provider.agree(attacker.begin(), OWNER)
    victim.begin()

    assert victim.get("/login/callback", **back).status_code == 400  # somebody else's sign-in forced on the victim
    assert Browser(url).get("/login/callback", **back).status_code == 400
    signed_in = dict(attacker.cookies)
    assert attacker.get("/login/callback", **back).status_code == 303
    again = Browser(url, signed_in)
    assert again.get("/login/callback", **back).status_code == 502  # the code is used up
    forger = Browser(url)
    state = parse_qs(urlsplit(forger.begin()).query)["state"][0]
    refused = forger.get("/login/callback", code="guess", state=state)
    declined = Browser(url)
    state = parse_qs(urlsplit(declined.begin()).query)["state"][0]

    assert refused.status_code == 502
    assert "invalid_grant" not in refused.text
    assert declined.get("/login/callback", error="access_denied", state=state).status_code == 400
    for browser in (victim, again, forger, declined):
        assert not sessions_of(app).is_operator(browser.headers)
        assert not (sessions_of(app).voter_id(browser.headers) or "").startswith("hf-")
    counted = parts_of(app).refusals.by_reason()
    assert {name: counted[name] for name in counted if name.startswith("sign_in")} == {
        "sign_in_state": 2,
        "sign_in_refused": 2,
        "sign_in_declined": 1,
    }


def test_signing_in_leads_to_a_page_of_the_arena_only(arena: tuple[str, FastAPI], provider: Provider) -> None:
    browser = Browser(arena[0])
    asked = browser.begin("/login/huggingface?next=https://evil.example")
    back = browser.get("/login/callback", **provider.agree(asked, GUEST))

    assert back.headers["location"].startswith("/")
    assert not back.headers["location"].startswith("//")


def test_the_pages_offer_it_on_a_space_only_and_signing_out_leaves_the_account(
    arena: tuple[str, FastAPI], provider: Provider
) -> None:
    url, _ = arena
    browser = Browser(url)
    assert 'href="/login/huggingface"' in browser.get("/").text
    browser.get("/login/callback", **provider.agree(browser.begin(), GUEST))
    assert "Sign out" in browser.get("/my-data").text

    left = httpx.post(url + "/logout", headers={"Cookie": browser.headers["cookie"]})

    gone = [line.partition(";")[0] for line in left.headers.get_list("set-cookie")]
    assert gone == ["arena_operator=", "arena_voter="]
    assert Registration.of({"SYSTEM": "spaces", "SPACE_HOST": HOST}) is None
    assert Registration.of({"OPENID_PROVIDER_URL": "x", "OAUTH_CLIENT_ID": "x", "OAUTH_CLIENT_SECRET": "x"}) is None
