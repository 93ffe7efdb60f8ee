"""`make ui`: Airflow's UI on this project, until Ctrl-C."""

import argparse
import sys
import threading

from colorquant_airflow.checkout.home import AirflowHome
from colorquant_airflow.checkout.services import ServicesFailed, airflow_services, interrupt_on_signals
from colorquant_airflow.pool import POOL


def main() -> int:
    """Start Airflow with its nightly schedule, print its address, and wait for a signal; return the exit status."""
    parser = argparse.ArgumentParser(prog="make ui", description=__doc__)
    parser.add_argument("--port", type=int, default=8080)
    port = parser.parse_args().port
    interrupt_on_signals()
    home = AirflowHome.of_this_checkout()
    print("Starting Airflow ...", flush=True)
    try:
        with airflow_services(home, purpose="ui", port=port, schedule=True) as services:
            api = services.api
            api.set_pool(POOL, home.jobs_at_once, "Spark jobs at once on this machine")
            print(
                f"\n  Airflow   {api.address}\n  user      admin\n  password  {home.password()}\n\nCtrl-C stops it.",
                flush=True,
            )
            threading.Event().wait()
    except ServicesFailed as error:
        print(f"make ui: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
