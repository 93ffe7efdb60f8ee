#!/bin/sh
# `make up`: builds the image, starts docker-compose.yaml, waits until all of it is healthy, says where it is.
#   ENV_FILE=file (.env); IMAGES, OUTPUT and PORT count when that is made
set -eu
cd "$(dirname "$0")/.."

file=${ENV_FILE:-.env}
stop() { echo "make up: $*" >&2; exit 1; }
compose() { docker compose --env-file "$file" "$@"; }
setting() { sed -n "s/^$1='\{0,1\}\([^']*\)'\{0,1\}\$/\1/p" "$file"; }

docker compose version >/dev/null 2>&1 || stop "Docker with its compose plugin (version 2.20 or newer) is needed."
docker info >/dev/null 2>&1 || stop "the Docker engine does not answer; start it, or become a user who may use it."
scripts/compose_env.sh "$file"
images=$(setting IMAGES_FOLDER) output=$(setting OUTPUT_FOLDER) owner=$(setting AIRFLOW_UID):$(setting AIRFLOW_GID)
[ -d "$images" ] || stop "IMAGES_FOLDER=$images (in $file) is no folder."
# Docker would make a missing folder, and root would own it.
if [ ! -d "$output" ]; then
    mkdir -p "$output"
    [ "$(id -u)" != 0 ] || chown "$owner" "$output"
fi
compose build
compose up --detach --wait --wait-timeout 900 \
    || stop "not all services became healthy; see \`docker compose ps\` and \`docker compose logs\`"
cat <<END

  Airflow   http://127.0.0.1:$(setting AIRFLOW_PORT)
  user      admin
  password  $(setting AIRFLOW_PASSWORD)

  images    $images
  output    $output

\`make down\` stops it and keeps the data.
END
