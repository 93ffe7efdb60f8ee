"""The plugin that adds pages to Airflow's UI: runs, their reports, and each image next to its original.

``ImageCompressionPlugin`` is the class that Airflow loads, from ``plugins/image_compression.py`` or by the installed
package's entry point. Whoever may read a DAG may see its pages, and the pages hand out the files of their run only.
The API server loads the web application at its first request.
"""

from typing import TYPE_CHECKING

from colorquant.lazy import imported_on_first_use

if TYPE_CHECKING:
    from colorquant_airflow.pages.plugin import ImageCompressionPlugin

__all__ = ["ImageCompressionPlugin"]

__getattr__ = imported_on_first_use(__name__, {"ImageCompressionPlugin": "plugin"})
