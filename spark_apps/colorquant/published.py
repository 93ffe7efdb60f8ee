"""The former name of ``python -m colorquant.publish``, which verifies a published folder."""

import sys

from colorquant.publish.folder import main

if __name__ == "__main__":
    print("python -m colorquant.published is now python -m colorquant.publish", file=sys.stderr)
    sys.exit(main())
