# Sourced by deploy/run and deploy/test: a virtual environment in .venv with what this checkout needs.
# Nothing is installed twice: a stamp remembers what pyproject.toml and the constraints said.

cd "$(dirname "$0")/.." || exit 1

find_python() {
    for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
        if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "selma-gateway needs Python 3.11 or newer; none was found." \
        "Install it (Debian and Ubuntu: apt install python3 python3-venv), or name one: PYTHON=/path/to/python3" >&2
    return 1
}

# $1: what to install, such as "." or ".[dev]"; the rest: options of pip's
prepare_environment() {
    wanted=$1
    shift
    python=$(find_python) || exit 1
    if [ ! -x .venv/bin/python ]; then
        echo "Making a virtual environment in .venv …" >&2
        if ! "$python" -m venv .venv; then
            echo "Python could not make a virtual environment. On Debian and Ubuntu: apt install python3-venv" >&2
            rm -rf .venv
            exit 1
        fi
    fi
    stamp=$(cat pyproject.toml deploy/constraints.txt | cksum)
    installed=$(cat .venv/installed 2>/dev/null || true)
    if [ "$installed" != "$wanted $stamp" ] && [ "$installed" != ".[dev] $stamp" ]; then # dev holds all of the rest
        echo "Installing what selma-gateway needs (a minute or two the first time) …" >&2
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint deploy/constraints.txt \
            "$@" --editable "$wanted" >&2 || exit 1
        echo "$wanted $stamp" >.venv/installed
    fi
}
