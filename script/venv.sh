# Sourced by the scripts beside it, in the repository's root: makes a virtual environment.
#
# make_venv DIRECTORY LOCK   a virtual environment with the packages of LOCK and this project,
#                            editable. Does nothing when it is there and up to date.
# PYTHON=...                 which Python (3.11 or later) to take.

# Each candidate is run: a pyenv shim answers to the name of a Python that is not there.
find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    echo "${PYTHON:-No Python 3.11 or later} was not found. Install it, or set PYTHON to its path." >&2
    return 2
}

# Debian and Ubuntu keep the venv module's other half in a package of its own.
need_ensurepip() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null && return
    package=$("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "$1 cannot make virtual environments. Run: sudo apt-get install $package" >&2
        return 2
    fi
    echo "Installing $package ..." >&2
    export DEBIAN_FRONTEND=noninteractive
    apt-get install -y -qq "$package" >/dev/null 2>&1 ||
        { apt-get update -qq && apt-get install -y -qq "$package"; } >&2
}

make_venv() {
    python=$(find_python) || return
    wanted="$("$python" -c 'import sys; print(sys.version_info[:2], sys.base_prefix)') $(
        cat pyproject.toml "$2" | cksum
    ) $(pwd)"
    if [ -f "$1/made-from" ] && [ "$(cat "$1/made-from")" = "$wanted" ]; then
        return
    fi
    need_ensurepip "$python" || return
    echo "Making $1 with $python ..." >&2
    "$python" -m venv --clear "$1" || return
    "$1/bin/python" -m pip install -qq --disable-pip-version-check -r "$2" >&2 || return
    "$1/bin/python" -m pip install -qq --disable-pip-version-check --no-deps -e . >&2 || return
    echo "$wanted" >"$1/made-from"
}
