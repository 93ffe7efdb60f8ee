"""The keys by which the tasks of a run tell what came of it."""

#: ``{"folder": the run's own, "storage_connection": its parameter}``, or ``{"refused": why nothing is planned}``.
PLANNED = "image_compression_planned"
#: The report's path and totals.
REPORTED = "image_compression_reported"
#: ``{"folder": ..., "files": how many}``, or ``{"refused": why nothing is published}``; where that was asked for.
PUBLISHED = "image_compression_published"
