#!/bin/sh
# `make up`: builds the image, starts docker-compose.yaml, waits until all of it is healthy, says where it is.
#   ENV_FILE=file (.env); IMAGES, OUTPUT and PORT count when that is made
#   PULL=1: pulls the base images and builds without Docker's cache, for corrections of their packages
set -eu
cd "$(dirname "$0")/.."

file=${ENV_FILE:-.env}
stop() { echo "make up: $*" >&2; exit 1; }
compose() { docker compose --env-file "$file" "$@"; }
setting() { sed -n "s/^$1='\{0,1\}\([^']*\)'\{0,1\}\$/\1/p" "$file"; }

# Writes an image into .env with the digest of its content, so that a tag means the same until PULL=1.
pin() { # SETTING IMAGE
    image=$(setting "$1")
    case $image in *@*) [ -n "${PULL:-}" ] || return 0 ;; esac
    image=${image:-$2}
    image=${image%@*}
    repository=${image%:"${image##*[:/]}"}
    if ! docker pull --quiet "$image" >/dev/null; then
        docker image inspect "$image" >/dev/null 2>&1 || stop "$image could not be pulled; see the message above."
        echo "make up: $image could not be pulled, so the one of this machine is used, by its name" >&2
    fi
    digest=$(docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$image" \
        | sed -n "s|^\(docker.io/\)\{0,1\}\(library/\)\{0,1\}${repository#docker.io/}@||p" | head -n 1)
    { sed "/^$1=/d" "$file"; echo "$1=$image${digest:+@$digest}"; } > "$file.unfinished"
    mv "$file.unfinished" "$file"
}

docker compose version >/dev/null 2>&1 || stop "Docker with its compose plugin (version 2.20 or newer) is needed."
docker info >/dev/null 2>&1 || stop "the Docker engine does not answer; start it, or become a user who may use it."
umask_before=$(umask)
umask 077
scripts/compose_env.sh "$file"
pin PYTHON_IMAGE "$(sed -n 's/^ARG PYTHON_IMAGE=//p' Dockerfile)"
pin POSTGRES_IMAGE postgres:16-bookworm
umask "$umask_before"
images=$(setting IMAGES_FOLDER) output=$(setting OUTPUT_FOLDER) owner=$(setting AIRFLOW_UID):$(setting AIRFLOW_GID)
[ -d "$images" ] || stop "IMAGES_FOLDER=$images (in $file) is no folder."
# Docker would make a missing folder, and root would own it.
if [ ! -d "$output" ]; then
    mkdir -p "$output"
    [ "$(id -u)" != 0 ] || chown "$owner" "$output"
fi
compose build ${PULL:+--no-cache}
compose up --detach --wait --wait-timeout 900 \
    || stop "not all services became healthy; see \`docker compose ps\` and \`docker compose logs\`"
# A password belongs on a screen, and in no log of what ran `make up`.
secrets=$(setting SECRETS_FOLDER)
if [ -t 1 ]; then terminal=yes; else terminal=; fi
password() { if [ -n "$terminal" ]; then cat "$secrets/$1_password"; else echo "in $secrets/$1_password"; fi; }
cat <<END

  Airflow   http://127.0.0.1:$(setting AIRFLOW_PORT)
  users     and the passwords that they were made with
  admin     $(password admin)
  editor    $(password editor)
  viewer    $(password viewer)

  images    $images
  output    $output

\`make down\` stops it and keeps the data.
END
