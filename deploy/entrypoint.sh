#!/bin/sh
# Puts the secrets that programs want to read from files into memory (a tmpfs), for this user only, and becomes the
# service. So they are in no command line, no log and no layer of the image.
set -eu

secret_file() { (umask 077 && cat > "/run/kmeans/$1"); }

[ -z "${SPARK_SECRET:-}" ] || {
    cat /opt/kmeans/deploy/spark.properties
    echo "spark.authenticate.secret $SPARK_SECRET"
} | secret_file spark.properties
[ -z "${AIRFLOW_PASSWORD:-}" ] || echo "{\"admin\": \"$AIRFLOW_PASSWORD\"}" | secret_file passwords.json
unset SPARK_SECRET AIRFLOW_PASSWORD
exec "$@"
