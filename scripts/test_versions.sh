#!/bin/sh
# `make test-versions`: DAG, operator and application tests with the oldest and the newest supported versions of
# Airflow, its Spark provider and PySpark, each in an environment of its own in .versions. Nothing is locked there: the
# newest are those that the pins of requirements.txt admit today.
#   scripts/test_versions.sh VENV [oldest] [newest]      VENV has uv, and the Python to test with
set -eu
cd "$(dirname "$0")/.."
venv=$1
shift
tests="tests/test_dags.py tests/colorquant_airflow/dag tests/colorquant_airflow/operators
    tests/colorquant_airflow/test_private.py tests/test_compress_image.py tests/test_corpus.py"

pins() {
    [ "$1" = newest ] || cat <<END
apache-airflow==3.3.0
apache-airflow-providers-apache-spark==6.0.0
pyspark==4.0.0
pyspark-client==4.0.0
END
}

failed=
for which in ${*:-oldest newest}; do
    folder=.versions/$which
    mkdir -p .versions
    pins "$which" > "$folder.txt"
    "$venv/bin/uv" venv --quiet --clear --python "$venv/bin/python" "$folder"
    sed '/^-[cr]/d' requirements.txt requirements-dev.txt \
        | "$venv/bin/uv" pip install --quiet --python "$folder/bin/python" --override "$folder.txt" --requirement -
    echo "test-versions: $which"
    "$venv/bin/uv" pip freeze --quiet --python "$folder/bin/python" | grep -E '^(apache-airflow(-providers-apache-spark)?|pyspark(-client)?)=='
    # shellcheck disable=SC2086  # Several paths.
    "$folder/bin/python" -m pytest -q -p no:cacheprovider $tests || failed="$failed $which"
done
[ -z "$failed" ] || { echo "test-versions: failed with the versions:$failed" >&2; exit 1; }
