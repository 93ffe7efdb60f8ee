#!/bin/sh
# Becomes the service. Spark wants its secret in the file of its settings: that is made in memory (a tmpfs), for this
# user only. All other secrets are read from /run/secrets by the programs that need them.
set -eu

secret=/run/secrets/spark_secret
[ ! -e "$secret" ] || (
    umask 077
    {
        cat /opt/kmeans/deploy/spark.properties
        echo "spark.authenticate.secret $(cat "$secret")"
        case ",${KMEANS_PROFILES:-}," in
            *,history,*) printf '%s\n' "spark.eventLog.enabled true" "spark.eventLog.dir file:/var/lib/spark-events" ;;
        esac
    } > /run/kmeans/spark.properties
)

# Spark's driver asks Kubernetes for pods with the argument `executor`, and tells them the rest by their environment.
if [ "${1:-}" = executor ] && [ -n "${SPARK_DRIVER_URL:-}" ]; then
    # Spark writes what it fetches from the driver into the working directory. This folder is a volume of the pod.
    cd "${SPARK_LOCAL_DIRS%%,*}"
    # Options of the JVM are numbered, and may contain spaces.
    set --
    number=0
    while value=$(printenv "SPARK_JAVA_OPT_$number"); do
        set -- "$@" "$value"
        number=$((number + 1))
    done
    # Without a master of this kind Spark does not read spark.authenticate.secret.file, which it needs to ask the driver
    # for its settings, the master among them.
    set -- "${JAVA_HOME:+$JAVA_HOME/bin/}java" "$@" -Dspark.master=k8s://driver "-Xms$SPARK_EXECUTOR_MEMORY" "-Xmx$SPARK_EXECUTOR_MEMORY" \
        -cp "${SPARK_CONF_DIR:-/opt/spark/conf}:$SPARK_HOME/jars/*${SPARK_EXTRA_CLASSPATH:+:$SPARK_EXTRA_CLASSPATH}" \
        org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
        --driver-url "$SPARK_DRIVER_URL" --executor-id "$SPARK_EXECUTOR_ID" --cores "$SPARK_EXECUTOR_CORES" \
        --app-id "$SPARK_APPLICATION_ID" --hostname "$SPARK_EXECUTOR_POD_IP" \
        --resourceProfileId "$SPARK_RESOURCE_PROFILE_ID" --podName "$SPARK_EXECUTOR_POD_NAME"
fi
exec "$@"
