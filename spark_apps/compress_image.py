"""Compress one image at one palette size on Spark: ``spark-submit spark_apps/compress_image.py --help``."""

import sys

from colorquant.spark import image_application

if __name__ == "__main__":
    sys.exit(image_application.main())
