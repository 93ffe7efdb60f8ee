"""Airflow assets: the one that other DAGs can be scheduled on, and the one that starts the nightly DAG."""

from airflow.sdk import Asset

#: Updated by each run that succeeds. Its event has the run's totals and the report's path.
REPORT = Asset("image_compression_report", group="image compression")

#: To be updated by a process that brings new images. The nightly DAG then runs at once.
NEW_IMAGES = Asset("image_compression_new_images", group="image compression")
