"""``python -m colorquant``: the command ``colorquant``."""

import sys

from colorquant.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
