"""What the DAGs are made of: parameters, schedule, Python tasks, notices, assets."""
