"""JSON files that hold one dataclass: names, types and ranges are checked once, when a file is read.

Standard library only. The type annotations of a dataclass are its schema. They are made of ``bool``, ``int``,
``float``, ``str``, ``Any``, ``X | None``, ``tuple`` and ``Sequence``, ``frozenset`` and ``Set``, ``dict`` with names as
keys, other dataclasses, and ``Annotated[X, values]`` with the container of the allowed values: a ``limits.Range``, say.
"""

import dataclasses
import json
import math
import reprlib
import types
from collections.abc import Callable, Container, Iterable, Mapping, Sequence, Set
from functools import cache, partial
from itertools import repeat
from typing import Annotated, Any, ClassVar, Self, Union, get_args, get_origin, get_type_hints

from colorquant.errors import ColorquantError, InvalidRecord
from colorquant.storage.atomic import write_atomically
from colorquant.storage.paths import StrPath, read

_Parse = Callable[[Any], Any]
# JSON bounds no number. One that is larger is no figure of ours, and its quotients would overflow.
_MAX_INT = 2**63 - 1


class JsonRecord:
    """Base of the dataclasses that are the content of a JSON file.

    Each has a field ``schema_version`` whose default is the version that it writes. A field that a later version added
    has a default, so that files from before it can still be read.
    """

    schema_version: int
    #: Spaces of indentation; None for a file that nobody reads by eye, which is a third smaller.
    indent: ClassVar[int | None] = 1

    def as_json(self) -> str:
        """The text of the file: ASCII. JSON has no infinity and no NaN: such a value raises ValueError."""
        content = dataclasses.asdict(self)  # type: ignore[call-overload]
        separators = (",", ":") if self.indent is None else None
        return json.dumps(content, indent=self.indent, separators=separators, allow_nan=False, default=sorted) + "\n"

    def write(self, path: StrPath) -> None:
        """Write the file, whole or not at all. Raises OSError, and ValueError as ``as_json``."""
        write_atomically(path, self.as_json().encode("ascii"))

    @classmethod
    def read(cls, path: StrPath) -> Self:
        """Read the file.

        Raises
        ------
        FileNotFoundError
            Where there is no file.
        InvalidRecord
            Where the file is not a JSON object with the names, types and ranges of this class. The message names the
            file and the field.
        OSError
            Where the file cannot be read.
        """
        return cls.of_json(read(path), path)

    @classmethod
    def of_json(cls, text: bytes, path: StrPath) -> Self:
        """The record of a file's text; ``path`` names the file. Raises InvalidRecord as ``read``."""
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidRecord(f"{path}: not JSON ({error})") from error
        try:
            return cls._parse(content)
        except (_Mismatch, RecursionError) as error:
            raise InvalidRecord(f"{path}: {error}") from None

    @classmethod
    def upgraded(cls, content: dict[str, Any]) -> dict[str, Any]:
        """The JSON object of an older schema version as one of this version; an object of this version as it is."""
        return content

    @classmethod
    def _parse(cls, content: Any) -> Self:
        if not isinstance(content, dict):
            raise _Mismatch(f"a JSON object is expected, not {type(content).__name__}")
        version = content.get("schema_version")
        current = cls.upgraded(content) if type(version) is int else {}
        if current.get("schema_version") != cls.schema_version:
            known = f"this version reads {cls.schema_version}"
            raise _Mismatch(f"schema_version {reprlib.repr(version)} is unknown; {known}")
        kind: Any = cls
        record: Self = _parser(kind)(current)
        return record


def parse_record(kind: Any, text: bytes, path: StrPath) -> Any:
    """The value of a JSON text, checked against an annotation; ``path`` names its file. Raises InvalidRecord."""
    try:
        return _parser(kind)(json.loads(text))
    except (_Mismatch, ValueError, RecursionError) as error:
        raise InvalidRecord(f"{path}: {error}") from None


class _Mismatch(Exception):
    """A value is not what its annotation says. ``path`` leads to it from the top of the file."""

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(reason)
        self.reason, self.path = reason, path

    def __str__(self) -> str:
        return f"{self.path.lstrip('.')} {self.reason}".strip()

    def within(self, step: str) -> "_Mismatch":
        return _Mismatch(self.reason, step + self.path)


def _is_not(value: Any, expected: str) -> _Mismatch:
    return _Mismatch(f"is {reprlib.repr(value)}, not {expected}")


@cache
def _parser(kind: Any) -> _Parse:
    """What checks a value of parsed JSON against an annotation, and makes the annotated type of it."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind in _SCALARS:
        return _SCALARS[kind]
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind, include_extras=True)
        fields = {field.name: _parser(hints[field.name]) for field in dataclasses.fields(kind)}
        optional = {
            field.name
            for field in dataclasses.fields(kind)
            if (field.default, field.default_factory) != (dataclasses.MISSING, dataclasses.MISSING)
        }
        return partial(_object, kind, fields, fields.keys() - optional)
    if origin is Annotated:
        return partial(_annotated, _parser(arguments[0]), arguments[1])
    if origin in (Union, types.UnionType) and len(arguments) == 2 and arguments[1] is types.NoneType:
        return partial(_optional, _parser(arguments[0]))
    if origin is tuple and arguments[-1] is not ...:
        return partial(_fixed, tuple(map(_parser, arguments)))
    if origin in _ARRAYS:
        return partial(_array, _ARRAYS[origin], _parser(arguments[0]))
    if origin is dict and arguments[0] is str:
        return partial(_dictionary, _parser(arguments[1]))
    raise TypeError(f"{kind} is not a type that is read from JSON")


def _object(kind: Any, fields: Mapping[str, _Parse], required: Set[str], value: Any) -> Any:
    if type(value) is not dict:
        raise _is_not(value, "an object")
    if not required <= value.keys() or not value.keys() <= fields.keys():
        missing, unknown = sorted(required - value.keys()), sorted(value.keys() - fields.keys())
        raise _Mismatch(f"has fields missing {missing}, unknown {reprlib.repr(unknown)}")
    members = _members(fields, value)
    try:
        return kind(**members)
    except ColorquantError as error:
        raise _Mismatch(f"is wrong: {error}") from None


def _members(fields: Mapping[str, _Parse], value: dict[str, Any]) -> dict[str, Any]:
    members = {}
    for name, member in value.items():
        try:
            members[name] = fields[name](member)
        except _Mismatch as mismatch:
            raise mismatch.within(f".{name}") from None
    return members


def _dictionary(parse: _Parse, value: Any) -> dict[str, Any]:
    if type(value) is not dict:
        raise _is_not(value, "an object")
    return _members(dict.fromkeys(value, parse), value)


def _array(kind: type[tuple[Any, ...]] | type[frozenset[Any]], parse: _Parse, value: Any) -> Any:
    if type(value) is not list:
        raise _is_not(value, "an array")
    return kind(_elements(value, repeat(parse, len(value))))


def _fixed(parsers: tuple[_Parse, ...], value: Any) -> tuple[Any, ...]:
    if type(value) is not list or len(value) != len(parsers):
        raise _is_not(value, f"an array of {len(parsers)}")
    return tuple(_elements(value, parsers))


def _elements(value: list[Any], parsers: Iterable[_Parse]) -> list[Any]:
    elements = []
    for index, (parse, element) in enumerate(zip(parsers, value, strict=True)):
        try:
            elements.append(parse(element))
        except _Mismatch as mismatch:
            raise mismatch.within(f"[{index}]") from None
    return elements


def _optional(parse: _Parse, value: Any) -> Any:
    return None if value is None else parse(value)


def _annotated(parse: _Parse, values: Container[Any], value: Any) -> Any:
    parsed = parse(value)
    if parsed not in values:
        raise _is_not(value, str(values))
    return parsed


def _bool(value: Any) -> bool:
    if type(value) is not bool:
        raise _is_not(value, "true or false")
    return value


def _int(value: Any) -> int:
    if type(value) is not int or abs(value) > _MAX_INT:
        raise _is_not(value, "a whole number of 64 bits")
    return value


def _float(value: Any) -> float:
    """A number as it is: 1 stays an int, because the identity of a setting depends on how it is written."""
    if type(value) is int:
        return _int(value)
    if type(value) is not float or not math.isfinite(value):
        raise _is_not(value, "a finite number")
    return value


def _str(value: Any) -> str:
    if type(value) is not str:
        raise _is_not(value, "a text")
    return value


def _any(value: Any) -> Any:
    if isinstance(value, dict):
        return _members(dict.fromkeys(value, _any), value)
    if isinstance(value, list):
        return _elements(value, repeat(_any, len(value)))
    return value if value is None or type(value) is bool else _str(value) if type(value) is str else _float(value)


_ARRAYS: dict[Any, type[tuple[Any, ...]] | type[frozenset[Any]]] = {
    tuple: tuple,
    Sequence: tuple,
    frozenset: frozenset,
    Set: frozenset,
}
_SCALARS: dict[Any, _Parse] = {bool: _bool, int: _int, float: _float, str: _str, Any: _any}
