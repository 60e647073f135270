"""What Dockerfile and compose.yaml say: their commands are run here, the building and starting of containers is not."""

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml
from fastapi import FastAPI
from sqlalchemy import make_url

from arena.config import SHIPPED_DIR, load_settings
from arena.web.server import server_config
from tests.replica_fixtures import nginx
from tests.serving import served

DOCKERFILE = (SHIPPED_DIR / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")


def command(instruction: str) -> list[str]:
    """The words of a command that stands in the Dockerfile as JSON."""
    found = re.search(rf"^{instruction} *(\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert found is not None
    words: list[str] = json.loads(found[1])
    return words


@pytest.mark.parametrize(
    ("mounted", "given", "expected"),
    [
        (True, "", "/data"),
        (False, "", "/home/arena/data/backups"),
        (True, "/my backups", "/my backups"),
        (False, "/my backups", "/my backups"),
    ],
)
@pytest.mark.parametrize("on_space", [False, True])
def test_whatever_runs_in_a_container_finds_backups_where_something_is_mounted_for_them(
    mounted: bool, given: str, expected: str, on_space: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`docker exec` runs with the image's environment, never with what the arena's own command chose."""
    for name, value in environment_of_image().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ARENA_BACKUP_DIR", given)
    if on_space:
        monkeypatch.setenv("SPACE_ID", "somebody/arena")
    monkeypatch.setattr("arena.config.is_mounted", lambda place: mounted and place == Path("/data"))
    monkeypatch.setattr(Path, "is_dir", lambda place: place == Path("/data"))  # the image has one, mounted or not

    assert load_settings().resolved_backup_dir == Path(expected)
    assert command("CMD") == ["python", "app.py"]


def environment_of_image() -> dict[str, str]:
    """What the image says about the arena, to each process in its containers."""
    said = " ".join(re.findall(r"^ENV (.*)$", DOCKERFILE.rpartition("\nFROM")[2], re.MULTILINE))
    return dict(re.findall(r"\b(ARENA_\w+)=(\S+)", said))


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_a_containers_health_is_asked_past_any_proxy(status: int, healthy: bool) -> None:
    app = FastAPI()
    app.add_api_route("/healthz", lambda: None, status_code=status)
    words = command(r"HEALTHCHECK .*CMD")

    with served(app) as address:
        nobody = "http://127.0.0.1:9"
        environment = {"ARENA_PORT": address.rpartition(":")[2], "http_proxy": nobody, "HTTP_PROXY": nobody}
        asked = subprocess.run([sys.executable, *words[1:]], env=environment, capture_output=True, check=False)

    assert words[0] == "python"
    assert (asked.returncode == 0) is healthy, asked.stderr


def test_the_arena_of_an_image_may_write_into_a_new_volume_wherever_the_readme_mounts_one() -> None:
    """A volume that is new takes the owner of the folder beneath it."""
    readme = (SHIPPED_DIR / "README.md").read_text(encoding="utf-8")
    volumes = set(re.findall(r"-v [a-z-]+:(/[a-z/]+)", readme))
    owned = re.search(r"chown arena:arena ((?:/\S+ ?)+)", DOCKERFILE)

    assert volumes == {"/home/arena/data", "/data"}
    assert owned is not None
    assert volumes <= set(owned[1].split())


def test_a_password_of_compose_may_have_any_character() -> None:
    """It is told to PostgreSQL's library by itself, never as a part of an address."""
    services = yaml.safe_load((SHIPPED_DIR / "compose.yaml").read_text(encoding="utf-8"))["services"]

    for name in ("arena-1", "arena-2"):
        environment = services[name]["environment"]
        assert make_url(environment["ARENA_DATABASE_URL"]).password is None
        assert environment["PGPASSWORD"] == services["postgres"]["environment"]["POSTGRES_PASSWORD"]


def test_nginx_does_not_write_down_who_asked_for_what(tmp_path: Path) -> None:
    app = FastAPI()
    app.add_api_route("/healthz", lambda: None)

    with served(app) as address, nginx(tmp_path / "nginx", [address.removeprefix("http://")]) as (url, _):
        assert httpx.get(f"{url}/healthz").status_code == httpx.codes.OK
        assert httpx.get(f"{url}/metrics").status_code == httpx.codes.NOT_FOUND

    log = tmp_path / "nginx" / "access.log"
    assert not log.exists() or log.read_text() == ""


def test_nginx_closes_its_idle_connections_to_an_arena_before_the_arena_does() -> None:
    told = re.search(r"keepalive_timeout (\d+)s;", (SHIPPED_DIR / "hosting" / "nginx.conf").read_text(encoding="utf-8"))

    assert told is not None
    assert int(told[1]) < server_config(FastAPI()).timeout_keep_alive
