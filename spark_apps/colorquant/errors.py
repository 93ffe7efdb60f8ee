"""Every error that this package raises on purpose, as one tree. Standard library only.

::

    ColorquantError
    ├── InvalidRequest (ValueError)     what was asked for is wrong: exit code 2
    │   ├── InvalidSetting                a setting is unknown or out of its limits
    │   ├── InvalidTarget                 a text is not a quality target
    │   ├── InvalidLocation               a path or URI that this project cannot open
    │   │   └── NotAllowed                  it is in none of the folders that the operator allows
    │   ├── InvalidFolder                 a folder that a run cannot work with
    │   ├── InvalidInputs                 files and folders on a command line that do not fit together
    │   └── InvalidPlan                   a run that cannot be planned
    │       └── TooManyJobs                 more jobs than the caller allows
    ├── UnsupportedImage (ValueError)   an image that cannot be compressed: exit code 65, a retry is useless
    │   ├── Undecodable                   its content cannot be decoded
    │   ├── UnknownColorSpace             its colors cannot be converted to sRGB
    │   └── ChangedImage                  its file is not the one that was planned
    ├── DecoderEnded                    the process that decodes an image died
    ├── InvalidRecord (ValueError)      a JSON file that is not what its reader expects
    ├── StoreUnavailable (OSError)      an object store refuses or does not answer
    ├── PruneRefused                    outputs are in use, or nobody can tell what is; nothing is removed
    ├── Unpublishable                   a file cannot be published, and others can
    └── PublishFailed                   a folder could not be published; it is as it was before

All other exceptions are failures of the machine (a full disk, a killed worker) or defects; a retry may help.
"""


class ColorquantError(Exception):
    """Base class of all errors that this package raises on purpose. The message is one sentence for people."""


class InvalidRequest(ColorquantError, ValueError):
    """What was asked for is wrong. The message names the parameter and says what is allowed."""


class InvalidSetting(InvalidRequest):
    """A setting is unknown or has a value outside its limits. The message names it and says what is allowed."""


class InvalidTarget(InvalidRequest):
    """A text is not a quality target. The message says what one looks like."""


class InvalidLocation(InvalidRequest):
    """A URI that this project cannot open. The message says why and what to do; it never contains credentials."""


class NotAllowed(InvalidLocation):
    """A path or URI is in none of the folders that this process may use. The message names these folders."""


class InvalidFolder(InvalidRequest):
    """A folder that a run cannot work with. The message says which one and what to do."""


class InvalidInputs(InvalidRequest):
    """The inputs cannot be compressed to the given outputs. The message names the path and says what to do."""


class InvalidPlan(InvalidRequest):
    """A run cannot be planned. The message says which parameter is wrong and what to do."""


class TooManyJobs(InvalidPlan):
    """A plan has more jobs than its caller allows.

    Attributes
    ----------
    count : int
        Number of jobs that the plan would have.
    limit : int
        The largest number of jobs that the caller allows.
    """

    def __init__(self, count: int, limit: int) -> None:
        super().__init__(f"This run has {count:,} jobs to do, and at most {limit:,} are allowed.")
        self.count = count
        self.limit = limit


class UnsupportedImage(ColorquantError, ValueError):
    """An image that cannot be compressed; a retry is useless. The message names the file, the reason and a way out."""


class Undecodable(UnsupportedImage):
    """The content of an image cannot be decoded. The message continues a sentence that begins with the file's name."""


class UnknownColorSpace(UnsupportedImage):
    """The colors of an image cannot be converted to sRGB. The message says why."""


class ChangedImage(UnsupportedImage):
    """The file of an image is not the one that was planned, or that was read first. The message says what to do."""


class DecoderEnded(ColorquantError):
    """The process that decodes an image ended without an answer; a retry may help. The message says how it ended."""


class InvalidRecord(ColorquantError, ValueError):
    """A JSON file is not what its reader expects. The message names the file and the reason."""


class StoreUnavailable(ColorquantError, OSError):
    """An object store refuses or does not answer. The message names the object and the reason, without credentials."""


class PruneRefused(ColorquantError):
    """Outputs are in use, or nobody can tell which are. Nothing is removed. The message says why and what to do."""


class Unpublishable(ColorquantError):
    """A file cannot be published, and others can. The message continues a sentence that begins with the image."""


class PublishFailed(ColorquantError):
    """A folder could not be published and is as it was before. The message says why and what to do."""
