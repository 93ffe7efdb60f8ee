#!/bin/sh
# Makes .env, which docker-compose.yaml is filled in from (sizes that fit this machine, and folders), and the folder
# .env.secrets, with a file of each secret, drawn at random. What is there is left as it is. Prints nothing secret.
#   IMAGES=folder OUTPUT=folder PORT=8080 scripts/compose_env.sh [FILE]
set -eu
cd "$(dirname "$0")/.."
file=${1:-.env}

hex() { od -An -v -tx1 -N"$1" /dev/urandom | tr -d ' \n'; }
folder() {
    case $1 in *"'"* | *"$newline"*) echo "make up: '$1': no quote and no line break, please" >&2; exit 1 ;; esac
    case $1 in /*) echo "'$1'" ;; *) echo "'$PWD/$1'" ;; esac
}
newline='
'
images=$(folder "${IMAGES:-include/images}")
output=$(folder "${OUTPUT:-output}")
old() { sed -n "s/^$1='\{0,1\}\([^']*\)'\{0,1\}\$/\1/p" "$file" 2>/dev/null || true; }
secrets=$(old SECRETS_FOLDER)
if [ -n "$secrets" ] && [ ! -e "$secrets/fernet_key" ]; then
    echo "make up: $secrets has no secrets; restore it from the backup, for the database needs them" >&2
    exit 1
fi
secrets_folder=$(folder "${secrets:-$file.secrets}")
secrets=${secrets:-$file.secrets}

umask 077
# Nobody else gets into the folder. The files in it can be read by all, since containers run as several users.
mkdir -p "$secrets"
chmod 700 "$secrets"
secret() { # NAME VALUE [OLD_NAME]: what an older .env has comes first
    [ ! -e "$secrets/$1" ] || return 0
    value=$(old "${3:-}")
    printf %s "${value:-$2}" > "$secrets/$1.unfinished"
    chmod 444 "$secrets/$1.unfinished"
    mv "$secrets/$1.unfinished" "$secrets/$1"
}
secret admin_password "$(hex 12)" AIRFLOW_PASSWORD
secret editor_password "$(hex 12)"
secret viewer_password "$(hex 12)"
secret postgres_password "$(hex 24)" POSTGRES_PASSWORD
secret fernet_key "$(head -c 32 /dev/urandom | base64 | tr '+/' '-_')" FERNET_KEY
secret jwt_secret "$(hex 64)" JWT_SECRET
secret api_secret_key "$(hex 32)" API_SECRET_KEY
secret spark_secret "$(hex 32)" SPARK_SECRET

if [ -e "$file" ]; then
    chmod 600 "$file"
    if ! grep -q '^SECRETS_FOLDER=' "$file"; then
        { sed -E '/^(AIRFLOW_PASSWORD|POSTGRES_PASSWORD|FERNET_KEY|JWT_SECRET|API_SECRET_KEY|SPARK_SECRET)=/d' "$file"
          echo "SECRETS_FOLDER=$secrets_folder"; } > "$file.unfinished"
        mv "$file.unfinished" "$file"
        echo "make up: moved the secrets of $file to files in $secrets" >&2
    fi
    [ -z "${IMAGES:-}${OUTPUT:-}" ] || echo "make up: IMAGES and OUTPUT are those of $file; change them there" >&2
    exit 0
fi

# Containers run as whoever owns the folders; never as root.
uid=$(id -u) gid=$(id -g)
if [ "$uid" = 0 ]; then uid=50000 gid=50000; fi

# A job takes one core of the workers, and about 4 GB: 2 where its images are decoded (COMPRESSION_MAX_MEMORY), 1 for
# the heap of its executor, and what the other one of driver and executor takes.
cores=$(getconf _NPROCESSORS_ONLN)
by_memory=$(awk '/^MemTotal/ {print int(($2 / 1048576 - 6) / 4)}' /proc/meminfo 2>/dev/null || echo 1)
jobs=$cores
if [ "$by_memory" -lt "$jobs" ]; then jobs=$by_memory; fi
if [ "$jobs" -lt 1 ]; then jobs=1; fi

cat > "$file.unfinished" <<END
# Made by \`make up\`. Keep the folder of the secrets private, and with the backups of the database.
SECRETS_FOLDER=$secrets_folder

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
# Bytes of the process that decodes images, in the container of the scheduler or of a worker: an image that may need
# more is refused. Raise it together with the two containers' limits.
COMPRESSION_MAX_MEMORY=2147483648
SCHEDULER_MEMORY=$((jobs * 2 + 1))g
# Of each worker: cores, memory of all its executors' heaps, and the container's limit, Python included.
WORKER_CORES=$jobs
WORKER_HEAP=${jobs}g
WORKER_MEMORY=$((jobs * 3 + 1))g
END
mv "$file.unfinished" "$file"
echo "made $file: folders and sizes, and $secrets: secrets" >&2
