#!/bin/sh
# Before the services start: makes or migrates the metadata database, the pool of the Spark jobs, and the users.
set -eu
cd "$(dirname "$0")/.."
airflow db migrate
# A pool that is there may have been changed by someone.
airflow pools get spark >/dev/null 2>&1 || airflow pools set spark "$1" "Spark jobs at once"
[ ! -e /run/secrets/admin_password ] || python deploy/users.py
