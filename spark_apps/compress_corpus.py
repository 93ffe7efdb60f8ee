"""Compress a whole library of images on Spark: ``spark-submit spark_apps/compress_corpus.py --help``."""

import sys

from colorquant.spark import corpus_application

if __name__ == "__main__":
    sys.exit(corpus_application.main())
