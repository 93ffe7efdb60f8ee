"""The plugin class: where Airflow serves the pages, where its UI shows them, and what makes the pool of the jobs."""

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from colorquant_airflow.links import PREFIX, VIEW, base_path
from colorquant_airflow.pages.pool_maker import PoolMaker


async def _pages(scope: Any, receive: Any, send: Any) -> None:
    """The web application, imported at its first request: every task and service of Airflow loads the plugins."""
    from colorquant_airflow.pages.app import app

    await app(scope, receive, send)


class ImageCompressionPlugin(AirflowPlugin):
    """Adds "Image compression" to the navigation of Airflow's UI, and the pool ``spark`` where there is none."""

    name = "image_compression"
    listeners = [PoolMaker()]
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
