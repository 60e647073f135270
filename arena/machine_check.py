"""Whether this machine is fit to run the arena: looks at it, the environment and the roster; changes nothing."""

import difflib
import ipaddress
import json
import os
import re
import shutil
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from arena.backup_folder import why_unreadable
from arena.config import Settings
from arena.errors import ConfigError
from arena.mounts import existing_parent, file_system_of
from arena.roster import ModelEntry, Roster, load_roster

MINIMUM_PYTHON = (3, 11)
GIGABYTE = 1024**3
_NETWORK_FILE_SYSTEMS = re.compile(
    r"nfs\d?|cifs|smb\w*|ncpfs|afs|ceph|glusterfs|lustre|beegfs|gpfs|ocfs2|gfs2|davfs|"
    r"fuse\.(?!fuse-overlayfs$|bindfs$|mergerfs$|unionfs|gocryptfs$|encfs$|ntfs|exfat).*"
)
"""File systems across a network, or buckets shown as folders; of FUSE's, all that are not known to be local."""
_ANSWER_S = 2.0
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""What is near is asked without a proxy."""
_ENVIRONMENT_ONLY = {"ARENA_VENV"}


class Level(IntEnum):
    """How much a finding matters."""

    FINE = 0
    WARNING = 1
    """The arena starts; something will not work."""
    ERROR = 2
    """The arena cannot start."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    sentence: str
    """What was found, and what to do about it where something is to be done."""


def inspect(settings: Settings, environment: Mapping[str, str]) -> Sequence[Finding]:
    """Look at everything; the worst level says whether the arena can start."""
    folder = existing_parent(settings.data_dir)
    findings = [
        check_python(sys.version_info[:2]),
        check_disk(folder, shutil.disk_usage(folder).free),
        check_memory(available_memory()),
        check_writable(settings.data_dir),
        *check_backups(settings),
        check_file_system(settings, environment),
        check_port(settings.host, settings.port),
        *check_shared_secrets(settings),
        *check_variables(environment),
    ]
    if settings.demo:
        return findings
    try:
        roster = load_roster(settings.models, environment)
    except ConfigError as error:
        return [*findings, Finding(Level.ERROR, str(error))]
    return [*findings, *check_roster(roster), *check_local_servers(roster)]


def check_shared_secrets(settings: Settings) -> Sequence[Finding]:
    """What several arenas on one PostgreSQL must have in common is given, not made by each of them for itself."""
    if settings.resolved_database_url.startswith("sqlite"):
        return []
    given = {"ARENA_SECRET": settings.secret, "ARENA_ADMIN_PASSWORD": settings.admin_password}
    return [
        Finding(
            Level.WARNING,
            f"{name} is not set: this arena makes its own, and another one on the same PostgreSQL would know neither "
            "its visitors nor its operator. Set the same for all.",
        )
        for name, value in given.items()
        if value is None or not value.get_secret_value()
    ]


def check_python(version: tuple[int, ...]) -> Finding:
    """The interpreter is new enough."""
    told = ".".join(map(str, version))
    if version >= MINIMUM_PYTHON:
        return Finding(Level.FINE, f"Python {told}.")
    return Finding(Level.ERROR, f"Python {told} is too old: install Python {MINIMUM_PYTHON[0]}.{MINIMUM_PYTHON[1]}.")


def check_disk(folder: Path, free: int) -> Finding:
    """There is room for votes and logs."""
    told = f"{free / GIGABYTE:.1f} GB free on the disk of {folder}"
    if free < GIGABYTE // 4:
        return Finding(Level.ERROR, f"{told}: free at least 0.25 GB, or name another folder with ARENA_DATA_DIR.")
    if free < GIGABYTE:
        return Finding(Level.WARNING, f"{told}: enough to start, soon too little.")
    return Finding(Level.FINE, f"{told}.")


def check_memory(available: int | None) -> Finding:
    """There is room for the process: 150 MB, and 160 kB for each running answer."""
    if available is None:
        return Finding(Level.FINE, "This system does not say how much memory is free.")
    told = f"{available / GIGABYTE:.1f} GB of memory free"
    if available < GIGABYTE // 5:
        return Finding(Level.ERROR, f"{told}: the arena needs at least 0.2 GB.")
    if available < GIGABYTE // 2:
        return Finding(Level.WARNING, f"{told}: enough for a few visitors only.")
    return Finding(Level.FINE, f"{told}.")


def available_memory(meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """Bytes that a new process can have, as Linux tells; `None` elsewhere."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def check_writable(folder: Path) -> Finding:
    """The data folder can be made, or written into."""
    wrong = _why_not_writable(folder, "ARENA_DATA_DIR")
    return Finding(Level.FINE, f"{folder} can be written to.") if wrong is None else Finding(Level.ERROR, wrong)


def check_backups(settings: Settings) -> Sequence[Finding]:
    """Backups can be written where they are to be kept, and read where the database is gone; with SQLite only."""
    folder, database = settings.resolved_backup_dir, sqlite_file(settings.resolved_database_url)
    if settings.demo or database is None:
        return []
    if not database.exists() and settings.keeps_backups_elsewhere and (unreadable := why_unreadable(settings)):
        sentence = f"{unreadable} There is no database, and whether one is kept there cannot be told: "
        return [Finding(Level.ERROR, f"{sentence}make it readable, or name another with ARENA_BACKUP_DIR.")]
    wrong = _why_not_writable(folder, "ARENA_BACKUP_DIR")
    if wrong is not None:
        return [Finding(Level.WARNING, f"No backup can be kept, nor any vote beside one: {wrong}")]
    return [Finding(Level.FINE, f"{folder} can be written to, for backups.")]


def _why_not_writable(folder: Path, setting: str) -> str | None:
    """What is wrong with a folder that is to be made, or written into, and what to do about it."""
    try:
        wrong_kind = folder.exists() and not folder.is_dir()
        writable = os.access(existing_parent(folder), os.W_OK | os.X_OK)
    except PermissionError:
        wrong_kind = writable = False
    if wrong_kind:
        return f"{folder} is no folder: name one with {setting}."
    if writable:
        return None
    return f"{folder} cannot be written to by user {os.getuid()}: change its owner, or name another with {setting}."


def check_file_system(settings: Settings, environment: Mapping[str, str]) -> Finding:
    """A SQLite database lies on a disk of this machine."""
    file = sqlite_file(settings.resolved_database_url)
    if file is None:
        return Finding(Level.FINE, "The database is a server's.")
    on_space_bucket = "SPACE_ID" in environment and file.absolute().is_relative_to("/data")
    kind = "bucket" if on_space_bucket else file_system_of(file)
    if on_space_bucket or _NETWORK_FILE_SYSTEMS.fullmatch(kind):
        return Finding(
            Level.ERROR,
            f"{file} would lie on a network or bucket mount ({kind}), where SQLite loses votes: set ARENA_DATA_DIR to "
            "a folder on a local disk (ARENA_BACKUP_DIR may be on the mount), or ARENA_DATABASE_URL to PostgreSQL.",
        )
    return Finding(Level.FINE, f"{file} lies on a local disk.")


def require_local_database(settings: Settings, environment: Mapping[str, str]) -> None:
    """Refuse to open a SQLite database where it would be damaged.

    Raises:
        ConfigError: it lies on a network or bucket mount; says where it may lie.

    """
    finding = check_file_system(settings, environment)
    if finding.level is Level.ERROR:
        raise ConfigError(finding.sentence)


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite URL; `None` for another database, or a URL that names none."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        return None
    return Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None


def check_port(host: str, port: int) -> Finding:
    """The port is free; if not, whether it is an arena that answers there."""
    if port == 0:
        return Finding(Level.FINE, "Any free port will do.")
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read, not bound
    try:
        socket.create_connection((near, port), _ANSWER_S).close()
    except OSError:
        return Finding(Level.FINE, f"Port {port} is free.")
    where = f"http://{f'[{near}]' if ':' in near else near}:{port}"
    if is_arena(where):
        return Finding(Level.ERROR, f"Another arena answers at {where}: stop it, or choose another port (ARENA_PORT).")
    return Finding(Level.ERROR, f"Port {port} is in use by another program: stop it, or choose another (ARENA_PORT).")


def is_arena(address: str) -> bool:
    """Whether an arena answers at `address`."""
    try:
        with _DIRECT.open(f"{address}/healthz", timeout=_ANSWER_S) as answer:
            told = json.loads(answer.read(10_000))
    except (OSError, ValueError):
        return False
    return isinstance(told, dict) and {"status", "version", "uptime_s"} <= told.keys()


def check_variables(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Every `ARENA_…` variable is one that the arena knows, and Google's credentials are where they are said to be."""
    known = {f"ARENA_{name.upper()}" for name in Settings.model_fields} | _ENVIRONMENT_ONLY
    for name in sorted(environment):
        if name.startswith("ARENA_") and name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else "."
            yield Finding(Level.WARNING, f"{name} is no setting of the arena{hint}")
    credentials = environment.get("GOOGLE_APPLICATION_CREDENTIALS")
    if credentials and not os.access(credentials, os.R_OK):
        yield Finding(Level.WARNING, f"GOOGLE_APPLICATION_CREDENTIALS: {credentials} cannot be read.")


def check_roster(roster: Roster) -> Iterator[Finding]:
    """The roster can be used; which of its models lack a variable."""
    models = "1 model" if len(roster) == 1 else f"{len(roster)} models"
    yield Finding(Level.FINE, f"{models} in the roster.")
    for warning in roster.warnings:
        yield Finding(Level.WARNING, warning)
    for entry in roster:
        if entry.missing_variables:
            names = " and ".join(entry.missing_variables)
            yield Finding(Level.WARNING, f"{entry.id} will not be ready: {names} is not set.")


def check_local_servers(roster: Iterable[ModelEntry]) -> Sequence[Finding]:
    """The servers of this network that the roster names answer; no other server is asked."""
    local = {entry.api_base: entry for entry in roster if entry.api_base and is_local(entry.api_base)}
    if not local:
        return []
    with ThreadPoolExecutor(len(local)) as asking:
        return list(asking.map(_check_server, local.values()))


def is_local(address: str) -> bool:
    """Whether `address` is on this machine or in its own network."""
    host = urlsplit(address).hostname or ""
    if host == "localhost" or host.endswith((".local", ".localhost", ".internal", ".lan")):
        return True
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return False
    return parsed.is_loopback or parsed.is_private


def _check_server(entry: ModelEntry) -> Finding:
    base = str(entry.api_base).rstrip("/")
    where = urlsplit(base).netloc.rpartition("@")[2]
    try:
        _DIRECT.open(f"{base}/models", timeout=_ANSWER_S).close()
    except urllib.error.HTTPError as error:
        error.close()
    except (OSError, ValueError):
        return Finding(Level.WARNING, f"{entry.id}: no server answers at {where}: start it, or correct api_base.")
    return Finding(Level.FINE, f"{entry.id}: a server answers at {where}.")
