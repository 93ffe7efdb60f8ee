"""`make tidy`: remove what is old from the database and the logs of the private Airflow."""

import argparse
import subprocess
import sys

from colorquant_airflow.checkout.home import PROJECT, AirflowHome


def main() -> int:
    """Tidy up; return the exit status."""
    parser = argparse.ArgumentParser(prog="make tidy", description=__doc__)
    parser.add_argument("--days", type=int, default=30, help="what is older is removed")
    days = parser.parse_args().days
    home = AirflowHome.of_this_checkout()
    if not home.database.exists():
        print("There is nothing to tidy: Airflow has not run yet.")
        return 0
    environment = home.environment(port=8080, schedule=False)
    return subprocess.run([PROJECT / "deploy" / "tidy.sh", str(days)], env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
