"""Files and folders, local or in an object store: paths, atomic writes, JSON files, listings, names.

Standard library only. All other packages open files through this one, so local paths and ``s3://`` URIs work alike.
"""

from colorquant.storage.atomic import sha256_of, sync_folder, temporary_folder, write_atomically
from colorquant.storage.json_record import JsonRecord
from colorquant.storage.listing import FORMATS, IMAGE_SUFFIXES, OUTPUTS_MARK, Listing, is_below, is_within, list_images
from colorquant.storage.naming import output_names
from colorquant.storage.paths import (
    OPTIONS,
    FileVersion,
    PathText,
    StrPath,
    access,
    adopt,
    allow,
    asking,
    files_below,
    is_file,
    is_nameable,
    is_refusal,
    is_remote,
    location,
    open_stream,
    put,
    read,
    remove,
    resolve,
    sizes_below,
    status_of,
    using,
    version_of,
    versions_below,
)
from colorquant.storage.roots import ALLOWED_ROOTS, root_of

__all__ = [
    "access",
    "adopt",
    "allow",
    "ALLOWED_ROOTS",
    "asking",
    "FileVersion",
    "files_below",
    "FORMATS",
    "IMAGE_SUFFIXES",
    "is_below",
    "is_file",
    "is_nameable",
    "is_refusal",
    "is_remote",
    "is_within",
    "JsonRecord",
    "list_images",
    "Listing",
    "location",
    "open_stream",
    "OPTIONS",
    "output_names",
    "OUTPUTS_MARK",
    "PathText",
    "put",
    "read",
    "remove",
    "resolve",
    "root_of",
    "sha256_of",
    "sizes_below",
    "status_of",
    "StrPath",
    "sync_folder",
    "temporary_folder",
    "using",
    "version_of",
    "versions_below",
    "write_atomically",
]
