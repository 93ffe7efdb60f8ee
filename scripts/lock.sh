#!/bin/sh
# Locks the packages that pyproject.toml names, with their hashes, into requirements*.txt. These files share one
# resolution, so one environment can install several of them. Versions stay while they fit; --upgrade takes the newest.
#   scripts/lock.sh UV [--upgrade]
set -eu
cd "$(dirname "$0")/.."
uv=$1
groups="dev docs bench deploy"
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT

compile() {
    output=$1; shift
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
        --custom-compile-command "make lock" --output-file "$output" --all-extras "$@" pyproject.toml
}

# uv keeps the versions that it finds in the file it writes to.
grep -hv '^-r' requirements*.txt > "$new/all"
compile "$new/all" $(printf -- '--group %s ' $groups) ${2:-}
compile "$new/requirements.txt" --constraints "$new/all"
for group in $groups; do
    compile "$new/$group" --constraints "$new/all" --group "$group"
    # Lines that are the same in requirements.txt come from there.
    { head -n 2 "$new/$group"; echo "-r requirements.txt"
      awk '/^#/ { next } /^[^ ]/ { known = $0 in locked } NR == FNR { if (/^[^ ]/) locked[$0]; next } !known' \
          "$new/requirements.txt" "$new/$group"; } > "$new/requirements-$group.txt"
done
chmod 644 "$new"/requirements*.txt
mv "$new"/requirements*.txt .
