"""The object stores that can be opened: what each needs, and what its library says of an object and of an error.

Standard library only. The libraries (s3fs, gcsfs, adlfs) are those of fsspec; only a URI that is opened imports one.
"""

import errno
import os
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from colorquant.errors import InvalidLocation

#: Seconds after which a search for credentials has found none: a metadata service that does not answer, for example.
CREDENTIALS_SECONDS = 15.0
_SCOPE_OF_AZURE = "https://storage.azure.com/.default"


@dataclass(frozen=True)
class Store:
    """An object store.

    Attributes
    ----------
    scheme : of its URIs, without ``://``.
    service : its name.
    library : the module that opens it.
    extra : the extra of this package that installs the library.
    variables : a pattern of the environment variables that the library reads.
    version, changed_at : what the library calls the version of an object's content, and the time of its last change.
    pins : whether an open stream fails by itself where its object is replaced.
    copies : whether a copy is there when the library says so; Azure goes on copying after its answer.
    keeps_marks : whether listings tell the mark of a folder, an empty object ``name/``, from an object ``name``.
    defaults : options of the library that hold where none are given.
    """

    scheme: str
    service: str
    library: str
    extra: str
    variables: str
    version: str
    changed_at: str
    pins: bool = False
    copies: bool = True
    keeps_marks: bool = True
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> str:
        """The environment variable with the options of the library, a JSON object."""
        return f"FSSPEC_{self.scheme.upper()}"

    def require_library(self) -> None:
        """Raise InvalidLocation where the library is not installed."""
        missing = [name for name in ("upath", self.library) if find_spec(name) is None]
        if missing:
            raise InvalidLocation(
                f"{self.scheme}:// ({self.service}) needs the package {self.library}, which is not installed here: "
                f"install the extra {self.extra} (pip install 'colorquant[{self.extra}]')."
            )


STORES = {
    store.scheme: store
    for store in (
        Store("s3", "S3", "s3fs", "s3", r"AWS_\w+|FSSPEC_S3(?:_\w+)?", "ETag", "LastModified", pins=True),
        Store(
            *("gs", "Google Cloud Storage", "gcsfs", "gcs"),
            r"GOOGLE_APPLICATION_CREDENTIALS|GOOGLE_CLOUD_\w+|GCE_METADATA_\w+|NO_GCE_CHECK|CLOUDSDK_\w+|STORAGE_EMULATOR_HOST"
            r"|GCSFS_\w+|FSSPEC_GS(?:_\w+)?",
            *("generation", "mtime"),
            # Without credentials gcsfs would go on as nobody, after minutes. A request has no limit by default.
            # A name may end with "#1", which is then no version.
            defaults={"token": "google_default", "requests_timeout": 60, "version_aware": False},
        ),
        Store(
            *("az", "Azure Blob Storage", "adlfs", "azure"),
            r"AZURE_(?:STORAGE_\w+|CLIENT_\w+|TENANT_ID|FEDERATED_TOKEN_FILE|AUTHORITY_HOST|USERNAME|PASSWORD)|IDENTITY_(?:ENDPOINT|HEADER)|MSI_(?:ENDPOINT|SECRET)|FSSPEC_AZ(?:_\w+)?",
            *("etag", "last_modified"),
            copies=False,
            keeps_marks=False,
        ),
    )
}
#: The environment variables with the options of the libraries, by scheme.
OPTIONS = {store.scheme: store.options for store in STORES.values()}
_OTHER_NAMES = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "abfs": "az", "abfss": "az", "wasb": "az", "wasbs": "az"}


def store_of(scheme: str) -> Store:
    """The store of a URI's scheme. Raises InvalidLocation for another scheme."""
    if scheme in STORES:
        return STORES[scheme]
    if other := _OTHER_NAMES.get(scheme.lower()):
        raise InvalidLocation(f"{scheme}:// is written {other}:// here: give {other}://bucket/folder.")
    raise InvalidLocation(f"{scheme}:// is not a supported storage: give a local path, s3://, gs:// or az://.")


# --- credentials ------------------------------------------------------------------------------------------------------

_found: set[str] = set()
# When none were found, and why: threads that wait for the answer do not search again, one after the other.
_missed: dict[str, tuple[float, Exception]] = {}
_MISSED_SECONDS = 30.0
_searching = threading.Lock()


def require_credentials(scheme: str, options: Mapping[str, Any]) -> None:
    """Raise PermissionError where there are no credentials for a store, within ``CREDENTIALS_SECONDS``.

    TimeoutError where that could not be found out, since a service does not answer: another try may help.

    The libraries of Google and Azure ask metadata services of their clouds, which do not exist elsewhere, and try again
    for minutes. That of Amazon asks for a second, and needs no limit. What is found is looked up once for each process.
    """
    if scheme == "s3":
        return
    key = f"{scheme} {sorted(options.items())!r}"
    if key in _found:  # Not behind the search of somebody else, who may have other options.
        return
    with _searching:
        if key in _found:
            return
        missed_at, problem = _missed.get(key, (0.0, None))
        if problem is not None and time.monotonic() - missed_at < _MISSED_SECONDS:
            raise _no_credentials(scheme, problem)
        problems: list[Exception] = []

        def search() -> None:
            try:
                (_search_google if scheme == "gs" else _search_azure)(options)
            except Exception as error:
                problems.append(error)

        thread = threading.Thread(target=search, daemon=True)
        thread.start()
        thread.join(CREDENTIALS_SECONDS)
        if thread.is_alive():
            problems.append(TimeoutError(f"no answer within {CREDENTIALS_SECONDS:.0f} seconds"))
        if problems:
            _missed[key] = time.monotonic(), problems[0]
            raise _no_credentials(scheme, problems[0]) from problems[0]
        _found.add(key)


def _no_credentials(scheme: str, problem: Exception) -> OSError:
    said = (
        f"no credentials for {STORES[scheme].service} work here: {_first_sentence(problem)} Give them by a connection "
        "or by the environment (docs/scaling.md)"
    )
    # Google's library says of an error whether another try may help. All else that requests raises is of the network.
    is_passing = isinstance(problem, TimeoutError) or getattr(problem, "retryable", False)
    if is_passing or type(problem).__module__.startswith("requests."):
        return TimeoutError(said)
    return PermissionError(said)


def _search_google(options: Mapping[str, Any]) -> None:
    use_plain_google_client()
    from gcsfs.credentials import GoogleCredentials

    project = options.get("project") or os.environ.get("GCSFS_DEFAULT_PROJECT", "")
    found = GoogleCredentials(project, options.get("access", "full_control"), options["token"])
    try:
        found.maybe_refresh()
    except Exception as error:
        raise error.__cause__ if isinstance(error.__cause__, Exception) else error from None


def _search_azure(options: Mapping[str, Any]) -> None:
    import fsspec
    from fsspec.asyn import sync

    files = fsspec.filesystem("az", **options)
    if hasattr(files.credential, "get_token"):
        sync(files.loop, files.credential.get_token, _SCOPE_OF_AZURE)


def use_plain_google_client() -> None:
    """Let gcsfs speak HTTP only, unless the environment says otherwise.

    By default it asks for the layout of a bucket, by gRPC, with a right of its own, for minutes where nothing answers.
    """
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")


def _first_sentence(error: Exception) -> str:
    """What an error says, without the paragraphs of advice that Azure's has."""
    text = " ".join(without_queries(str(error)).split()) or type(error).__name__
    # "DefaultAzureCredential failed to retrieve a token from the included credentials. Attempted credentials: ..."
    return f"{re.split(r'(?<=[.!])[ ]', text)[0].rstrip('.!')[:300]}."


def without_queries(text: str) -> str:
    """A text without the queries of its URLs, where keys and tokens are."""
    return re.sub(r"\?[^\s)'\"]*=[^\s)'\"]*", "?...", text)


# --- errors -----------------------------------------------------------------------------------------------------------

# Errors of the libraries, which are imported only where URIs are used: what a deployment must correct first.
_REFUSALS = frozenset(
    "ConfigParseError InvalidConfigError InvalidRegionError NoCredentialsError NoRegionError ParamValidationError "
    "PartialCredentialsError ProfileNotFound SSOTokenLoadError TokenRetrievalError UnauthorizedSSOTokenError "
    "DefaultCredentialsError NonRetryableError ClientAuthenticationError CredentialUnavailableError".split()
)
_REFUSED = {
    400: errno.EINVAL,
    401: errno.EACCES,
    403: errno.EACCES,
    405: errno.EINVAL,
    409: errno.EINVAL,  # Azure's answer for an archived object.
    411: errno.EINVAL,
    414: errno.ENAMETOOLONG,
    501: errno.ENOSYS,
}


def refusal_number(error: BaseException | None) -> int | None:
    """The error number of an answer by which a store refuses a request for good; None for all other errors."""
    if error is None:
        return None
    if type(error).__name__ in _REFUSALS:
        return errno.EACCES
    # gcsfs's errors of 403 and 400 have only a text.
    status = _status(error)
    if isinstance(error, OSError) and error.errno is None and str(error).startswith("Forbidden: "):
        status = 403
    if type(error) is ValueError and str(error).startswith("Bad Request: "):
        status = 400
    # adlfs says of an upload in blocks that it failed. A cause of 400 may be another upload of the same object.
    if type(error) is RuntimeError and _status(error.__cause__) in (401, 403):
        status = 403
    return _REFUSED.get(status) if isinstance(status, int) else None


def is_beyond_end(error: BaseException) -> bool:
    """Whether a store says that a range begins beyond the end of an object."""
    return _status(error) == 416 or _code_of_amazon(error.__cause__) == "InvalidRange"


def is_missing(error: BaseException) -> bool:
    """Whether a store says that there is no such bucket or object, by an error of its own."""
    return type(error).__name__ == "ResourceNotFoundError"


def is_archived(error: BaseException | None) -> bool:
    """Whether a store keeps an object in an archive, as Amazon's Glacier, from which it must be restored first."""
    code = _code_of_amazon(error.__cause__ if error else None)
    return code == "InvalidObjectState" or str(getattr(error, "error_code", "")).endswith("BlobArchived")


def _status(error: BaseException | None) -> Any:
    """The status of HTTP: gcsfs's errors have a code, Azure's a status_code."""
    return getattr(error, "status_code", None) or getattr(error, "code", None)


def _code_of_amazon(error: BaseException | None) -> str | None:
    answer = getattr(error, "response", None)
    return answer.get("Error", {}).get("Code") if isinstance(answer, dict) else None
