#!/bin/sh
# Locks the packages that pyproject.toml names, with their hashes, into requirements*.txt. These files share one
# resolution, so one environment can install several of them. Versions stay while they fit; --upgrade takes the newest.
#   scripts/lock.sh UV [--upgrade]
set -eu
cd "$(dirname "$0")/.."
uv=$1
groups="dev docs bench deploy stores"
everywhere="--extra spark --extra airflow --extra s3 --extra report"
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT

compile() {
    output=$1; shift
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
        --custom-compile-command "make lock" --output-file "$output" "$@" pyproject.toml
}

# uv keeps the versions that it finds in the file it writes to.
grep -hv '^-r' requirements*.txt > "$new/all"
compile "$new/all" --all-extras $(printf -- '--group %s ' $groups) ${2:-}
compile "$new/requirements.txt" $everywhere --constraints "$new/all"
for group in $groups; do
    # The libraries of other stores than S3 are installed where somebody uses them.
    case $group in stores) extras=--all-extras ;; *) extras=$everywhere ;; esac
    compile "$new/$group" $extras --constraints "$new/all" --group "$group"
    # Lines that are the same in requirements.txt come from there.
    { head -n 2 "$new/$group"; echo "-r requirements.txt"
      awk '/^#/ { next } /^[^ ]/ { known = $0 in locked } NR == FNR { if (/^[^ ]/) locked[$0]; next } !known' \
          "$new/requirements.txt" "$new/$group"; } > "$new/requirements-$group.txt"
done
chmod 644 "$new"/requirements*.txt
mv "$new"/requirements*.txt .
