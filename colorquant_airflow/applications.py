"""Which files spark-submit is given: the scripts of a checkout, or where there is none, those of the package itself.

A script in the folder of the package finds it without an installation; the package's own files need one.
"""

from pathlib import Path

import colorquant
from colorquant import spark

_CHECKOUT = Path(colorquant.__file__).resolve().parent.parent


def _application(script: str, installed: Path) -> str:
    in_checkout = _CHECKOUT / script
    return str(in_checkout if in_checkout.exists() else installed)


#: Path of the application that compresses one image at one palette size.
IMAGE_APPLICATION = _application("compress_image.py", spark.IMAGE_APPLICATION)
#: Path of the application that compresses a whole library.
CORPUS_APPLICATION = _application("compress_corpus.py", spark.CORPUS_APPLICATION)
#: Path of the application that finds the palettes that images have in common.
PALETTE_APPLICATION = _application("find_palettes.py", spark.PALETTE_APPLICATION)
#: ``file:`` URI of the configuration that sets the log level of Spark's JVM.
LOG4J_CONFIGURATION = spark.LOG4J2.as_uri()
