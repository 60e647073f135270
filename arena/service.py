"""The arena in the background: started, stopped and asked how it does by `deploy_coaia_arena.sh`."""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from arena.backup_folder import describe_backups
from arena.config import SHIPPED_DIR, Settings, load_settings, read_environment
from arena.errors import ConfigError
from arena.keys import load_admin_password, load_secret
from arena.machine_check import Level, check_backups, inspect
from arena.running import Files, alive, alone, running
from arena.terminal import count_of, tell
from arena.web.session import OPERATOR_COOKIE, Sessions

START_S = 90.0
"""How long a start may take until the arena answers."""
MODELS_S = 20.0
"""How long `start` waits for the models once the arena answers; it runs on without them."""
_STOP_S = 15.0
"""How long a stop may take beyond the drain, before the process is killed."""
_LINES_OF_LOG = 15
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Service:
    """One arena in the background, known by its data folder."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._files = Files(settings.data_dir.absolute())

    def start(self) -> int:
        """Start unless it runs, wait until it answers, and tell where, and what is not ready and why."""
        with alone(self._files):
            running = self.running()
            if running is not None:
                say(f"The arena runs already, at {self._address()} (process {running}).")
                return 0
            self._forget_stale()
            if not self._fit():
                return 2
            process = self._spawn()
            if not self._answers(process):
                return 1
        report = self._wait_for_models()
        say(f"The arena runs at {self._address()} (process {process.pid}).")
        self._tell_models(report)
        self._tell_password()
        return 0

    def stop(self) -> int:
        """Stop, after the running battles; to stop what does not run is no error."""
        with alone(self._files):
            running = self.running()
            if running is None:
                self._forget_stale()
                say("The arena does not run.")
                return 0
            os.kill(running, signal.SIGTERM)
            if wait_until(lambda: not alive(running), self._settings.drain_s + _STOP_S):
                say("The arena has stopped.")
            else:
                os.kill(running, signal.SIGKILL)
                wait_until(lambda: not alive(running), 5)
                say("The arena did not stop in time and was killed; no stored vote is lost by that.")
            self._forget()
        return 0

    def status(self) -> int:
        """Tell how it does; 0 only if it is healthy, which is what `/readyz` says."""
        running = self.running()
        if running is None:
            if self._files.pid.exists():
                say("The arena does not run, though nobody stopped it. The end of its log:")
                self._tell_end_of_log()
            else:
                say("The arena does not run.")
            return 1
        report = self._report()
        say(f"process   {running}")
        if report is None:
            say(f"address   {self._address()}")
            say("health    it does not answer; see: ./deploy_coaia_arena.sh logs")
            return 1
        return self._tell_report(report)

    def running(self) -> int | None:
        """The process's number; `None` if it does not run, whatever the pid file says."""
        return running(self._files)

    def _spawn(self) -> "subprocess.Popen[bytes]":
        files = self._files
        files.output.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, str(SHIPPED_DIR / "app.py"), "--service", str(files.folder)]
        with files.output.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own program
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        files.pid.write_text(f"{process.pid}\n")
        return process

    def _answers(self, process: "subprocess.Popen[bytes]") -> bool:
        """Wait until the arena answers; if it ends before, tell the end of its log."""
        wait_until(lambda: process.poll() is not None or self._get("/healthz") is not None, START_S)
        if process.poll() is not None:
            self._forget()
            say(f"The arena ended while it started, with status {process.returncode}. The end of its log:")
            self._tell_end_of_log()
            return False
        if self._get("/healthz") is None:
            say(
                f"The arena runs (process {process.pid}) but did not answer within {START_S:.0f} s. The end of its log:"
            )
            self._tell_end_of_log()
            return False
        return True

    def _wait_for_models(self) -> dict[str, Any]:
        """Wait until it is known of every model whether it is ready."""

        def known() -> bool:
            report = self._report() or {}
            return all(model["state"] != "starting" for model in report.get("models", ()))

        wait_until(known, MODELS_S)
        return self._report() or {}

    def _fit(self) -> bool:
        """Look at the machine, tell what is wrong; whether the arena can start here."""
        findings = inspect(self._settings, read_environment())
        for finding in findings:
            if finding.level is not Level.FINE:
                tell(f"{'Warning' if finding.level is Level.WARNING else 'Error'}: {finding.sentence}")
        return all(finding.level is not Level.ERROR for finding in findings)

    def _tell_report(self, report: dict[str, Any]) -> int:
        models = report["models"]
        ready = sum(model["state"] == "ready" for model in models)
        healthy = report["status"] == "ready"
        say(f"uptime    {duration(report['uptime_s'])}")
        say(f"address   {self._address()}")
        say(f"health    {'ok' if healthy else trouble_in(report)}")
        say(f"models    {ready} of {len(models)} ready")
        self._tell_models(report)
        say(f"votes     {report['votes']}")
        shown = self._settings.model_copy(update={"demo": bool(report.get("demo"))})
        say(f"backup    {describe_backups(shown)}")
        if report.get("backup_failure"):
            say(f"  The latest attempt to keep votes safe failed: {report['backup_failure']}")
        else:
            for finding in check_backups(shown):
                if finding.level is not Level.FINE:
                    say(f"  {finding.sentence}")
        self._tell_password()
        return 0 if healthy else 1

    def _tell_models(self, report: dict[str, Any]) -> None:
        for model in report.get("models", ()):
            if model["state"] != "ready":
                say(f"  {model['id']}: {model['state'].replace('_', ' ')}. {model['reason']}".rstrip())
        if report.get("demo"):
            say("  Offline demonstration: the models are built in, and their votes have a database of their own.")

    def _tell_password(self) -> None:
        """On a terminal only: what goes into a pipe may end in a log."""
        if sys.stdout.isatty():
            say(f"operator  {self._address()}/login, password {load_admin_password(self._settings)}")

    def _tell_end_of_log(self) -> None:
        for file in (self._files.output, self._files.log):
            with contextlib.suppress(OSError):
                for line in file.read_text(errors="replace").splitlines()[-_LINES_OF_LOG:]:
                    say(f"  {line}")

    def _report(self) -> dict[str, Any] | None:
        """What the arena tells its operator; `None` if it does not answer."""
        sessions = Sessions(load_secret(self._settings), load_admin_password(self._settings), self._settings)
        return self._get("/readyz", f"{OPERATOR_COOKIE}={sessions.open_operator()}")

    def _get(self, path: str, cookie: str = "") -> dict[str, Any] | None:
        request = urllib.request.Request(self._address() + path, headers={"Cookie": cookie})  # noqa: S310 - always http
        try:
            with _DIRECT.open(request, timeout=5) as answer:
                body = answer.read()
        except urllib.error.HTTPError as error:
            body = error.read()
        except OSError:
            return None
        try:
            told = json.loads(body)
        except ValueError:
            return None
        return told if isinstance(told, dict) else None

    def _address(self) -> str:
        try:
            return self._files.address.read_text().strip()
        except OSError:
            return f"http://{self._settings.host}:{self._settings.port}"

    def _forget_stale(self) -> None:
        if self._files.pid.exists():
            say("Removed a stale pid file: that arena ended without being stopped.")
            self._forget()

    def _forget(self) -> None:
        self._files.pid.unlink(missing_ok=True)
        self._files.address.unlink(missing_ok=True)


def wait_until(true: Callable[[], bool], seconds: float) -> bool:
    """Look again and again until `true()`; whether it became so in time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def trouble_in(report: Mapping[str, Any]) -> str:
    """Why an arena is not ready, as its operator's report has it."""
    told = [check["detail"] for check in report["checks"].values() if not check["ok"]]
    if asked := sum(model["state"] == "starting" for model in report["models"]):
        told.append(f"{count_of(asked, 'model')} still being asked: look again in a moment.")
    return " ".join(told)


def duration(seconds: float) -> str:
    """An uptime as people say it."""
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if days:
        return f"{days} d {hours % 24} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min {int(seconds) % 60} s"


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m arena.service start|stop|status|log-file`: what `deploy_coaia_arena.sh` calls."""
    parser = argparse.ArgumentParser(prog="python -m arena.service", description=__doc__)
    parser.add_argument("action", choices=("start", "stop", "status", "log-file"))
    action: str = parser.parse_args(arguments).action
    try:
        settings = load_settings()
        if action == "log-file":
            say(str(Files(settings.data_dir.absolute()).log))
            return 0
        service = Service(settings)
        return {"start": service.start, "stop": service.stop, "status": service.status}[action]()
    except ConfigError as error:
        tell(str(error))
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
