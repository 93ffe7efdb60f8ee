"""The pages that the plugin adds to Airflow's UI: runs, their reports, and each image beside its original."""
