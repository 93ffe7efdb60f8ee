"""How this project runs in Airflow: the operator of its Spark jobs, and a private Airflow for one checkout."""
