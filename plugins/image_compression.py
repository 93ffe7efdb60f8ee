"""Adds "Image compression" to the navigation of Airflow's UI: runs, their reports, each image beside its original."""

import sys
from pathlib import Path
from typing import Any

from airflow.plugins_manager import AirflowPlugin

PROJECT = Path(__file__).resolve().parent.parent
if str(PROJECT) not in sys.path:  # A bare checkout works, whatever the PYTHONPATH.
    sys.path.insert(0, str(PROJECT))

from colorquant_airflow.pages.links import PREFIX, VIEW, base_path  # noqa: E402  (needs the path above)


async def _pages(scope: Any, receive: Any, send: Any) -> None:
    """The web application, loaded at its first request: plugins are loaded by every task and service of Airflow."""
    from colorquant_airflow.pages.app import app

    await app(scope, receive, send)


class ImageCompressionPlugin(AirflowPlugin):
    """The pages of ``colorquant_airflow.pages``, and where the UI shows them."""

    name = "image_compression"
    fastapi_apps = [{"app": _pages, "url_prefix": PREFIX, "name": "Image compression"}]
    external_views = [
        {
            "name": "Image compression",
            "href": f"{base_path()}{PREFIX}/",
            "url_route": VIEW,
            "destination": "nav",
            "nav_top_level": True,
            "icon": f"{base_path()}{PREFIX}/static/icon.svg",
        }
    ]
