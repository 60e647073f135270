"""The arena's own two secrets: what signs its cookies, and the operator's password."""

import os
import secrets
from pathlib import Path

from pydantic import SecretStr

from arena.config import Settings, read_environment
from arena.errors import ConfigError

SECRET_FILE = "secret"  # noqa: S105 - a file's name
PASSWORD_FILE = "admin-password"  # noqa: S105 - a file's name


def load_secret(settings: Settings) -> bytes:
    """What signs the cookies and keys the address hashes: from the settings, else made once and kept.

    Raises:
        ConfigError: it must be set and is not, or the data folder cannot keep it.

    """
    return _load(settings, settings.secret, "ARENA_SECRET", SECRET_FILE).encode()


def load_admin_password(settings: Settings) -> str:
    """What opens the operator's pages: from the settings, else made once and kept.

    Raises:
        ConfigError: as `load_secret`.

    """
    return _load(settings, settings.admin_password, "ARENA_ADMIN_PASSWORD", PASSWORD_FILE)


def _load(settings: Settings, given: SecretStr | None, variable: str, name: str) -> str:
    if given is not None and given.get_secret_value():
        return given.get_secret_value()
    if "SPACE_ID" in read_environment():
        raise ConfigError(
            f"{variable} must be set on a Space, whose disk is emptied at each restart: add it as a secret."
        )
    path = settings.data_dir / name
    try:
        return _read(path) or _make(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read or written ({error.strerror}); set {variable}.") from error


def _read(path: Path) -> str:
    """What is kept in `path`, closed to everyone but its owner; empty where there is no such file."""
    try:
        path.chmod(0o600)
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""


def _make(path: Path) -> str:
    """Write a new secret to `path` whole or not at all; if another process was quicker, its secret is the one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(24) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            if not _read(path):
                draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return _read(path)
