#!/bin/sh
# Makes the environment: a virtual environment with the locked packages, and a Java for Spark.
# Does nothing if both exist.
#   scripts/setup.sh VENV REQUIREMENTS_FILE
#   scripts/setup.sh VENV                     the virtual environment alone, empty
set -eu
cd "$(dirname "$0")/.."
venv=$1
requirements=${2:-}

stop() { echo "setup: $*" >&2; exit 1; }
say() { echo "setup: $*" >&2; }

can_apt() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }

apt_install() {
    say "installing $* (apt-get)"
    export DEBIAN_FRONTEND=noninteractive
    apt-get -qq -o DPkg::Lock::Timeout=300 update >/dev/null
    apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@" >/dev/null
}

is_supported_python() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if is_supported_python "$candidate"; then echo "$candidate"; return; fi
    done
    stop "Python 3.11, 3.12 or 3.13 is needed${PYTHON:+; PYTHON=$PYTHON is not one of them}. Install one, for example" \
         "'apt-get install python3 python3-venv', or name an installed one: make PYTHON=/path/to/python3.12"
}

make_venv() {
    [ -x "$venv/bin/python" ] && is_supported_python "$venv/bin/python" && return
    python=$(find_python)
    # Debian and Ubuntu ship Python without ensurepip, which a virtual environment needs.
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        can_apt || stop "$python has no venv module. Install it: sudo apt-get install python$version-venv"
        apt_install "python$version-venv"
    fi
    say "making the virtual environment $venv with $("$python" --version)"
    rm -rf "$venv"
    "$python" -m venv "$venv"
}

install_packages() {
    stamp="$venv/.installed-$(cat requirements*.txt | cksum | tr -c '0-9\n' -)-$requirements"
    [ -e "$stamp" ] && return
    say "installing the packages of $requirements (a minute or two the first time)"
    install_with_uv || { say "uv could not (see above); trying pip"; install_with_pip "$requirements"; } \
        || stop "pip could not install $requirements; see its message above"
    : > "$stamp"
}

# The lock is complete. With dependencies, pip would look for newer versions of a locked package that one needs with an extra.
install_with_pip() { "$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r "$1"; }

# uv takes less than half of pip's time. It is locked with the packages of the developers, and does not read pip's settings.
install_with_uv() {
    locked=$(mktemp)
    sed -n '/^uv==/,/[^\\]$/p' requirements-dev.txt > "$locked"
    install_with_pip "$locked" && found=0 || found=1
    rm -f "$locked"
    [ "$found" = 0 ] || return 1
    (
        index=$(pip_setting index-url) certificates=$(pip_setting cert)
        [ -n "${UV_DEFAULT_INDEX:-}" ] || [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
        [ -n "${SSL_CERT_FILE:-}" ] || [ -z "$certificates" ] || export SSL_CERT_FILE="$certificates"
        "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --require-hashes -r "$requirements"
    )
}

# The last one counts: that of the environment, if there is one.
pip_setting() { "$venv/bin/python" -m pip config list 2>/dev/null | sed -n "s/^.*\.$1='\(.*\)'\$/\1/p" | tail -n 1; }

java_version() {
    java=java
    # Jobs do not get a JAVA_HOME without a Java either.
    if [ -n "${JAVA_HOME:-}" ] && [ -x "$JAVA_HOME/bin/java" ]; then java=$JAVA_HOME/bin/java; fi
    # An agent whose file is gone, or two collectors, would end this Java; jobs get none of these options.
    env -u JAVA_TOOL_OPTIONS -u _JAVA_OPTIONS -u JDK_JAVA_OPTIONS "$java" -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1
}

check_java() {
    version=$(java_version || true)
    [ "${version:-0}" -ge 17 ] && return
    found=${version:+"found Java $version"}
    if can_apt && { [ -z "${JAVA_HOME:-}" ] || [ ! -x "$JAVA_HOME/bin/java" ]; }; then
        for release in 21 17; do
            if apt-cache policy "openjdk-$release-jre-headless" 2>/dev/null | grep -q 'Candidate: [0-9]'; then break; fi
        done
        apt_install "openjdk-$release-jre-headless" || stop "apt-get could not install Java $release"
        version=$(java_version || true)
        [ "${version:-0}" -ge 17 ] && return
    fi
    stop "Spark needs Java 17 or newer; ${found:-found none}. Install one" \
         "(Debian, Ubuntu: sudo apt-get install openjdk-17-jre-headless; macOS: brew install openjdk@17)" \
         "${JAVA_HOME:+or correct JAVA_HOME=$JAVA_HOME }and try again."
}

make_venv
[ -n "$requirements" ] || exit 0
install_packages
check_java
