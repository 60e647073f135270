"""A private PostgreSQL server for a benchmark: on a Unix socket in a temporary folder, gone at the end."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def private_postgres() -> Iterator[str | None]:
    """The SQLAlchemy URL of an empty database with PostgreSQL's own defaults; `None` without the server programs."""
    programs = _programs()
    if programs is None:
        yield None
        return
    account = pwd.getpwnam("postgres") if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="arena-pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if account is not None:
            os.chown(folder, account.pw_uid, account.pw_gid)

        def run(program: str, *arguments: str) -> None:
            subprocess.run(
                [programs / program, "-D", folder / "data", *arguments],
                check=True,
                stdout=subprocess.DEVNULL,
                cwd=folder,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
            )

        run("initdb", "--username=arena", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
        run("pg_ctl", "start", "--wait", "-l", str(folder / "log"), "-o", f"-c listen_addresses='' -k {folder}")
        try:
            yield f"postgresql+psycopg://arena@/postgres?host={folder}"
        finally:
            run("pg_ctl", "stop", "--wait", "--mode=immediate")


def _programs() -> Path | None:
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return folders[-1] if folders and (folders[-1] / "initdb").exists() else None
