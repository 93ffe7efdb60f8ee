"""The private Airflow of a checkout, for ``make run`` (module ``run``) and ``make ui`` (module ``ui``).

``home`` is its folder and environment, ``services`` starts and stops its processes, ``api`` is a client of its REST
API. It needs the folders ``dags`` and ``plugins`` of the checkout, so it has no use outside of one.
"""

from colorquant_airflow.checkout.api import AirflowApi
from colorquant_airflow.checkout.home import DAG_ID, AirflowHome, free_port
from colorquant_airflow.checkout.services import Services, ServicesFailed, airflow_services

__all__ = ["AirflowApi", "AirflowHome", "DAG_ID", "Services", "ServicesFailed", "airflow_services", "free_port"]
