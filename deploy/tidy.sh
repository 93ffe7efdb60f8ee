#!/bin/sh
# Removes from Airflow's database, and from its folder of logs, what is older than so many days: tidy.sh DAYS.
# Tasks cannot reach the database, so no DAG can do this.
set -eu
days=${1:-30}
case $days in '' | *[!0-9]* | 0*) echo "tidy: $days is not a number of days from 1" >&2; exit 2 ;; esac
before=$(date -u -d "$days days ago" +%Y-%m-%dT%H:%M:%S+00:00)
# Without archive tables, which would grow in place of the others.
airflow db clean --clean-before-timestamp "$before" --skip-archive --error-on-cleanup-failure --yes
logs=$(airflow config get-value logging base_log_folder | tail -n 1)
find "$logs" -type f -mtime "+$days" -delete
find "$logs" -mindepth 1 -depth -type d -empty -delete
