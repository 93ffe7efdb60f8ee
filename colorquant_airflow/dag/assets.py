"""What other DAGs can be scheduled on, and what this project's can: Airflow assets."""

from airflow.sdk import Asset

#: Updated by each run that ends well; its event has the run's totals and the report's path.
REPORT = Asset("image_compression_report", group="image compression")

#: To be updated by whoever brings new images: the nightly DAG then runs at once.
NEW_IMAGES = Asset("image_compression_new_images", group="image compression")
