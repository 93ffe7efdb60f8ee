"""The files that spark-submit is given; they belong to the package. Standard library only."""

from pathlib import Path

_FOLDER = Path(__file__).resolve().parent

#: The application of one (image, k) job, and that of a whole library.
IMAGE_APPLICATION = _FOLDER / "image_application.py"
CORPUS_APPLICATION = _FOLDER / "corpus_application.py"
#: Path of the application that finds the palettes that images have in common.
PALETTE_APPLICATION = _FOLDER / "palette_application.py"

#: Configuration of the JVM's log: Spark's own messages from WARN on.
LOG4J2 = _FOLDER / "log4j2.properties"
