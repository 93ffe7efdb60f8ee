"""``python -m colorquant.publish FOLDER`` verifies a published folder against its manifest."""

import sys

from colorquant.publish.folder import main

if __name__ == "__main__":
    sys.exit(main())
