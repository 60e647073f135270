#!/usr/bin/env bash
# One command from a bare machine to a healthy arena: ./deploy_coaia_arena.sh start
set -u
cd -- "$(dirname -- "$(readlink -f -- "$0")")" || exit 1

VENV="${ARENA_VENV:-.venv}"
PYTHON="$VENV/bin/python"

usage() {
  cat <<'USAGE'
usage: ./deploy_coaia_arena.sh COMMAND

  start      make .venv, install requirements.txt, check the machine, start the arena, tell its address
  stop       let running battles finish, then stop
  restart    stop, then start
  status     process, uptime, address, health, ready models, votes, last backup; exit status 0 only if healthy
  logs [-f]  the end of the log; -f follows it
  check      ask every model of the roster one line
  backup     copy the votes of the running or stopped arena into its folder of backups
  test       install the tests' dependencies too, and run every check and test

example: ./deploy_coaia_arena.sh start && ./deploy_coaia_arena.sh logs -f
Settings are environment variables, or lines of a file .env in this folder: see README.md.
ARENA_VENV names a virtual environment of your own, which is used as it is.
USAGE
}

fail() {
  printf '%s\n' "$1" >&2
  exit "${2:-1}"
}

find_python() {
  local name
  for name in python3.11 python3.12 python3.13 python3.14 python3; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$name"
      return
    fi
  done
  fail 'Python 3.11 or newer is missing; install it with: sudo apt-get install -y python3 python3-venv'
}

make_venv() {
  local python
  python="$(find_python)" || exit 1
  echo "Making $VENV with $python"
  if ! "$python" -c 'import venv, ensurepip' 2>/dev/null || ! "$python" -m venv "$VENV"; then
    rm -rf -- "$VENV"
    fail "Python's venv module is missing; install it with: sudo apt-get install -y python3-venv"
  fi
}

# Installs the given requirement files, and does nothing when they are what was installed last.
prepare_venv() {
  [ -z "${ARENA_VENV:-}" ] || {
    [ -x "$PYTHON" ] || fail "ARENA_VENV: there is no $PYTHON." 2
    return
  }
  "$PYTHON" -c 'import pip' 2>/dev/null || make_venv
  local file missing='' arguments=()
  for file in "$@"; do
    grep -qxF "$(sha256sum "$file")" "$VENV/.installed" 2>/dev/null || missing=yes
    arguments+=(-r "$file")
  done
  [ -n "$missing" ] || return 0
  echo "Installing $*"
  rm -f "$VENV/.installed"
  "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-input "${arguments[@]}" ||
    fail "The packages of $* could not be installed: check the network connection, then try again."
  sha256sum "$@" >"$VENV/.installed"
}

# What is wanted of a running arena needs no installation, and there is none to speak to before the first start.
require_venv() {
  [ -x "$PYTHON" ] || {
    echo 'The arena does not run: it was never started here.'
    exit "$1"
  }
}

start() {
  prepare_venv requirements.txt
  "$PYTHON" -m arena.service start
}

stop() {
  require_venv 0
  "$PYTHON" -m arena.service stop
}

logs() {
  require_venv 1
  local file
  file="$("$PYTHON" -m arena.service log-file)" || exit
  [ -e "$file" ] || fail "There is no log yet: $file appears with the first start."
  case "${1:-}" in
    '') tail -n 100 -- "$file" ;;
    -f) exec tail -n 100 -F -- "$file" ;;
    *) fail 'usage: ./deploy_coaia_arena.sh logs [-f]' 2 ;;
  esac
}

# Debian's parts of the tests; `.ci/run` installs the same.
tell_what_tests_lack() {
  local missing=()
  command -v chromium >/dev/null || missing+=(chromium)
  [ -n "$(compgen -G '/usr/lib/postgresql/*/bin/initdb')" ] || command -v initdb >/dev/null || missing+=(postgresql)
  [ -x /usr/sbin/nginx ] || command -v nginx >/dev/null || missing+=(nginx)
  [ ${#missing[@]} -eq 0 ] ||
    echo "Some tests are skipped; for all of them: sudo apt-get update && sudo apt-get install -y ${missing[*]}"
}

run_tests() {
  prepare_venv requirements.txt requirements-dev.txt
  case "$VENV" in
    /*) PATH="$VENV/bin:$PATH" ;;
    *) PATH="$PWD/$VENV/bin:$PATH" ;;
  esac
  tell_what_tests_lack
  echo '== Format and rules'
  ruff format --check . && ruff check . || exit 1
  local told beside status=0
  told="$(mktemp)"
  nice sh -c 'mypy && lint-imports' >"$told" 2>&1 &
  beside=$!
  echo '== Tests (and types and layers beside them)'
  [ "${CI:-}" != true ] || set -- -p tests.no_skips "$@"
  "$PYTHON" -m pytest -n "${TEST_PROCESSES:-4}" --dist loadfile --no-loadscope-reorder "$@" || status=$?
  echo '== Types and layers'
  wait "$beside" || status=1
  cat -- "$told"
  rm -f -- "$told"
  exit "$status"
}

command="${1:-}"
[ $# -gt 0 ] && shift
case "$command" in
  start | stop | status | restart)
    [ $# -eq 0 ] || fail "$command takes no options: settings are environment variables or lines of .env." 2
    ;;
esac
case "$command" in
  start) start ;;
  stop) stop ;;
  restart)
    [ ! -x "$PYTHON" ] || stop || exit
    start
    ;;
  status)
    require_venv 1
    "$PYTHON" -m arena.service status
    ;;
  logs) logs "$@" ;;
  check)
    prepare_venv requirements.txt
    "$PYTHON" -m arena check "$@"
    ;;
  backup)
    require_venv 1
    "$PYTHON" -m arena backup "$@"
    ;;
  test) run_tests "$@" ;;
  help | -h | --help) usage ;;
  *)
    usage >&2
    exit 2
    ;;
esac
