#!/bin/sh
# Makes .env, which docker-compose.yaml is filled in from: random secrets, sizes that fit this machine, and folders.
# A .env that is there is left as it is. Prints nothing secret.
#   IMAGES=folder OUTPUT=folder PORT=8080 scripts/compose_env.sh [FILE]
set -eu
cd "$(dirname "$0")/.."
file=${1:-.env}
if [ -e "$file" ]; then
    chmod 600 "$file"
    [ -z "${IMAGES:-}${OUTPUT:-}" ] || echo "make up: IMAGES and OUTPUT are those of $file; change them there" >&2
    exit 0
fi

hex() { od -An -v -tx1 -N"$1" /dev/urandom | tr -d ' \n'; }
folder() {
    case $1 in *"'"* | *"$newline"*) echo "make up: '$1': no quote and no line break, please" >&2; exit 1 ;; esac
    case $1 in /*) echo "'$1'" ;; *) echo "'$PWD/$1'" ;; esac
}
newline='
'
images=$(folder "${IMAGES:-include/images}")
output=$(folder "${OUTPUT:-output}")

# Containers run as whoever owns the folders; never as root.
uid=$(id -u) gid=$(id -g)
if [ "$uid" = 0 ]; then uid=50000 gid=50000; fi

# A job takes one core of the workers, and about 3 GB: driver and executor, each a JVM and its Python.
cores=$(getconf _NPROCESSORS_ONLN)
by_memory=$(awk '/^MemTotal/ {print int(($2 / 1048576 - 6) / 3)}' /proc/meminfo 2>/dev/null || echo 1)
jobs=$cores
if [ "$by_memory" -lt "$jobs" ]; then jobs=$by_memory; fi
if [ "$jobs" -lt 1 ]; then jobs=1; fi

umask 077
cat > "$file.unfinished" <<END
# Made by \`make up\`. Secrets: keep this file private, and with the backups of the database.
AIRFLOW_PASSWORD=$(hex 12)
POSTGRES_PASSWORD=$(hex 24)
FERNET_KEY=$(head -c 32 /dev/urandom | base64 | tr '+/' '-_')
JWT_SECRET=$(hex 64)
API_SECRET_KEY=$(hex 32)
SPARK_SECRET=$(hex 32)

# Folders of this machine; the user with these ids must be able to read the one and write the other.
IMAGES_FOLDER=$images
OUTPUT_FOLDER=$output
AIRFLOW_UID=$uid
AIRFLOW_GID=$gid

# The UI's port on 127.0.0.1.
AIRFLOW_PORT=${PORT:-8080}

# Spark jobs at once (read when the pool \`spark\` is made), and what each takes of the cluster.
# Cores of a job x jobs at once should be the cores of all workers.
SPARK_JOBS=$jobs
COMPRESSION_SPARK_CONF='{"spark.cores.max": "1"}'
AIRFLOW_PARALLELISM=$((jobs + 2))
SCHEDULER_MEMORY=$((jobs * 2 + 1))g
# Of each worker: cores, memory of all its executors' heaps, and the container's limit, Python included.
WORKER_CORES=$jobs
WORKER_HEAP=${jobs}g
WORKER_MEMORY=$((jobs * 2 + 1))g
END
mv "$file.unfinished" "$file"
echo "made $file: secrets, folders and sizes" >&2
