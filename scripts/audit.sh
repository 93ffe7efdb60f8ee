#!/bin/sh
# Looks all locked packages up in OSV, a database of known vulnerabilities. It gets names and versions, nothing else.
#   scripts/audit.sh BIN [--if-reachable]
# Exits with 1 if a package has a known vulnerability; also if OSV cannot be reached, unless --if-reachable is given.
set -eu
cd "$(dirname "$0")/.."
bin=$1
service=${AUDIT_SERVICE:-https://api.osv.dev}

if ! "$bin/python" - "$service" 2>/dev/null <<'PYTHON'
import sys, urllib.error, urllib.request
try:
    urllib.request.urlopen(sys.argv[1], timeout=20)
except urllib.error.HTTPError:
    pass  # An answer.
PYTHON
then
    echo "audit: $service cannot be reached from here, so no package was checked." >&2
    [ "${2:-}" = --if-reachable ]
    exit
fi
set --
for file in requirements*.txt; do set -- "$@" --requirement "$file"; done
# The locks have every package with its hashes, so nothing is resolved or installed.
exec "$bin/python" -m pip_audit --disable-pip --require-hashes --progress-spinner off \
    --vulnerability-service osv --osv-url "$service/v1/query" "$@"
