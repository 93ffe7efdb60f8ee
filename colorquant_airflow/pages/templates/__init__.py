"""The templates of the pages. They escape every name and every reason."""

from pathlib import Path
from typing import Any

from colorquant.report import environment
from colorquant_airflow.links import PREFIX, airflow_path, base_path, instance_path, run_path

_environment = environment(Path(__file__).parent)
_environment.globals |= {"run_path": run_path, "airflow_path": airflow_path, "instance_path": instance_path}


def page(name: str, **values: Any) -> str:
    """The HTML of the page ``<name>.html.j2``; ``values`` are the variables of the template."""
    home = base_path() + PREFIX
    run = values.get("run")
    own = run_path(run.dag_id, run.run_id) if run else ""
    return _environment.get_template(f"{name}.html.j2").render(home=home, own=own, **values)
