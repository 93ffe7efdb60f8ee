"""Where the Spark applications and their log4j configuration are: found from the package ``colorquant``."""

from pathlib import Path

import colorquant

_FOLDER = Path(colorquant.__file__).resolve().parent.parent

#: Path of the application that compresses one image at one palette size.
IMAGE_APPLICATION = str(_FOLDER / "compress_image.py")
#: Path of the application that compresses a whole library.
CORPUS_APPLICATION = str(_FOLDER / "compress_corpus.py")
#: ``file:`` URI of the configuration that sets the log level of Spark's JVM.
LOG4J_CONFIGURATION = (_FOLDER / "log4j2.properties").as_uri()
