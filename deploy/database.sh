#!/bin/sh
# Prints the address of the metadata database, for Airflow's setting SQL_ALCHEMY_CONN_CMD.
printf 'postgresql+psycopg://airflow:%s@postgres/airflow' "$(cat /run/secrets/postgres_password)"
