"""The private Airflow of a checkout: ``make run`` and ``make ui``."""
