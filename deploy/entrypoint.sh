#!/bin/sh
# Becomes the service. Spark wants its secret in the file of its settings: that is made in memory (a tmpfs), for this
# user only. All other secrets are read from /run/secrets by the programs that need them.
set -eu

secret=/run/secrets/spark_secret
[ ! -e "$secret" ] || (
    umask 077
    { cat /opt/kmeans/deploy/spark.properties; echo "spark.authenticate.secret $(cat "$secret")"; } > /run/kmeans/spark.properties
)
exec "$@"
