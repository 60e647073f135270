"""A private PostgreSQL server: on a Unix socket in a temporary folder, gone at the end."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MISSING = "PostgreSQL's server programs are missing: apt-get install postgresql"


@contextmanager
def private_postgres(options: str = "", place: Path | None = None) -> Iterator[Path | None]:
    """The folder with the socket of a running server, for `databases.create`; `None` without the server's programs.

    `options` are the server's own, beside PostgreSQL's defaults. It runs as an unprivileged user; its folder
    is made in `place`, or where temporary files go.
    """
    programs = _programs()
    if programs is None:
        yield None
        return
    account = _unprivileged_account()
    # Not pytest's folder: PostgreSQL's user may not enter it, and a socket's path is limited to 107 characters.
    with tempfile.TemporaryDirectory(prefix="arena-pg-", dir=place, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if account is not None:
            os.chown(folder, account.pw_uid, account.pw_gid)

        def run(program: str, *arguments: str) -> None:
            # The server outlives pg_ctl and would keep a captured pipe open for ever: it gets a file to write to.
            with (folder / "output.txt").open("ab") as output:
                subprocess.run(
                    [programs / program, "-D", folder / "data", *arguments],
                    check=True,
                    stdout=output,
                    stderr=output,
                    cwd=folder,
                    user=account.pw_uid if account else None,
                    group=account.pw_gid if account else None,
                    extra_groups=[] if account else None,
                )

        run("initdb", "--username=arena", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
        run("pg_ctl", "start", "--wait", "-o", f"-c listen_addresses='' -k {folder} {options}")
        try:
            yield folder
        finally:
            run("pg_ctl", "stop", "--wait", "--mode=immediate")


def _programs() -> Path | None:
    """The folder with `initdb` and `pg_ctl`: Debian keeps them off the path."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders and (folders[-1] / "initdb").exists() else None


def _unprivileged_account() -> pwd.struct_passwd | None:
    """Whom the server runs as: PostgreSQL refuses to run as root. `None` is whoever runs the tests."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")
