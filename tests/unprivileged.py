"""Processes for which the rights of files count, also where the tests run as root, and folders that cannot be read."""

import ctypes
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# linux/prctl.h and linux/capability.h.
_PR_CAPBSET_DROP, _CAPABILITIES, _VERSION_3 = 24, 41, 0x20080522


def drop_capabilities() -> None:
    """Give up what makes root different from other users, for this process and all programs that it starts."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(_CAPABILITIES):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    header, none = (ctypes.c_uint32 * 2)(_VERSION_3, 0), (ctypes.c_uint32 * 6)()
    if libc.capset(header, none) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def close(monkeypatch: pytest.MonkeyPatch, *folders: Path, number: int = errno.EACCES) -> None:
    """Let ``os.scandir`` fail for some folders, as where their mount is away."""
    real: Callable[..., Any] = os.scandir

    def scandir(path: Any = ".") -> Any:
        if Path(path) in folders:
            raise OSError(number, os.strerror(number), str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
