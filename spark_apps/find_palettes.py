"""Find the palettes that images of a run have in common: ``spark-submit spark_apps/find_palettes.py --help``."""

import sys

from colorquant.spark import palette_application

if __name__ == "__main__":
    sys.exit(palette_application.main())
