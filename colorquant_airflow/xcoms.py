"""The XCom keys by which the tasks of a run tell the UI's pages and ``make run`` what they did."""

#: ``{"folder": the run's folder, "storage_connection": its parameter}``, or ``{"refused": why nothing is planned}``.
PLANNED = "image_compression_planned"
#: The report's path and totals, and ``"repeats"``: the earlier run whose report it is, where nothing is new; or None.
REPORTED = "image_compression_reported"
#: ``{"folder": ..., "files": their number, "problems": sentences on images that are not published}``, or ``{"refused":
#: why nothing is published}``, or ``{"waits": until when a person may approve, as ISO 8601 in UTC}``. Only where a run
#: publishes.
PUBLISHED = "image_compression_published"
