"""Airflow's users admin, editor and viewer, with the passwords of /run/secrets: makes those that are missing.

A user who is there is left alone, since somebody may have changed the password or the roles in the UI. The command
``airflow users create`` would take the password from its command line, which others can see, and seconds for each user.
tests/compose/test_users.py fails where an upgrade has moved the two names that are not public.
"""

from pathlib import Path

from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from airflow.utils.providers_configuration_loader import providers_configuration_loaded

_SECRETS = Path("/run/secrets")
#: Users, and their roles of the FAB auth manager.
_ROLES = {"admin": "Admin", "editor": "User", "viewer": "Viewer"}


@providers_configuration_loaded
def main() -> None:
    """Make the roles and the users."""
    with get_application_builder() as builder:
        security = builder.sm
        security.sync_roles()
        # Airflow's UI asks for the list of plugins to show their pages. Whose pages they are, is checked by themselves.
        plugins = security.create_permission("can_read", "Plugins")
        for name, role_name in _ROLES.items():
            role = security.find_role(role_name)
            security.add_permission_to_role(role, plugins)
            if security.find_user(username=name) is None:
                password = (_SECRETS / f"{name}_password").read_text().strip()
                security.add_user(name, name.capitalize(), "of this Airflow", f"{name}@localhost", role, password)
                print(f"users: made {name}, with the role {role_name}")


if __name__ == "__main__":
    main()
