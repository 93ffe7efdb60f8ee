"""The operators that submit this project's Spark applications, and end all of their processes."""
