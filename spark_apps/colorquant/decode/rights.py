"""What a process gives up before it decodes files that nobody vouches for: files, network, processes, memory.

Limits of the system work on every POSIX system: a process that may have no further descriptor opens neither file nor
connection. On Linux a filter of system calls by libseccomp, which comes with Debian's and Fedora's base systems, leaves
what computing needs. What a platform lacks is returned, to be said.
"""

import ctypes
import os
import resource

_ALLOW, _FAIL = 0x7FFF0000, 0x00050000
_EQUAL, _MASKED_EQUAL = 4, 7
_ALL_THREADS, _KEEP_SPEED = 4, 7
_CLONE_THREAD = 0x00010000
_EPERM, _ENOSYS = 1, 38

# Memory, threads, clocks, signals of its own, and descriptors that are open already.
_ALLOWED = (
    "brk mmap munmap mremap mprotect madvise membarrier "
    "futex sched_yield sched_getaffinity set_robust_list rseq exit exit_group getcpu "
    "clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time "
    "rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack restart_syscall "
    "read readv pread64 write writev lseek close fstat poll ppoll "
    "getpid gettid getrandom getrusage getrlimit setrlimit sysinfo uname times"
).split()


class _Condition(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("comparison", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


def give_up_rights(memory: int) -> str:
    """Limit this process for good to computing with so many bytes, and to the descriptors that it has open.

    Modules must be imported before, and threads that decoders need may start after.

    Parameters
    ----------
    memory : int
        Bytes of private memory (``RLIMIT_DATA``).

    Returns
    -------
    str
        What this platform lacks, one sentence; empty where it has all.
    """
    for limit, value in (
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 0),
    ):
        hard = resource.getrlimit(limit)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (value, value))
    try:
        _SECCOMP.load()
    except OSError as error:
        return f"Images are decoded by a process without a filter of system calls: {error}."
    return ""


class _Filter:
    """The filter of system calls, made by libseccomp: the library is opened before rights are given up."""

    def __init__(self) -> None:
        self._library: ctypes.CDLL | None
        try:
            self._library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
        except OSError:
            self._library = None

    def load(self) -> None:
        """Let this process and its threads make the allowed calls only. Raises OSError where that is not possible."""
        if self._library is None:
            raise OSError("libseccomp is not installed")
        library, failed = self._library, 0
        library.seccomp_init.restype = ctypes.c_void_p
        context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_FAIL | _EPERM)))
        own = _Condition(0, _EQUAL, os.getpid(), 0)
        rules: list[tuple[str, int, tuple[_Condition, ...]]] = [(name, _ALLOW, ()) for name in _ALLOWED]
        rules += [
            # The C library falls back to clone, whose flags a filter can see.
            ("clone3", _FAIL | _ENOSYS, ()),
            ("clone", _ALLOW, (_Condition(0, _MASKED_EQUAL, _CLONE_THREAD, _CLONE_THREAD),)),
            ("tgkill", _ALLOW, (own,)),
            ("prlimit64", _ALLOW, (_Condition(0, _EQUAL, 0, 0),)),
        ]
        for name, action, conditions in rules:
            number = library.seccomp_syscall_resolve_name(name.encode())
            if number >= 0:  # Not every architecture has every call.
                array = (_Condition * len(conditions))(*conditions)
                failed |= library.seccomp_rule_add_array(
                    context, ctypes.c_uint32(action), number, len(conditions), array
                )
        failed |= library.seccomp_attr_set(context, _ALL_THREADS, 1)
        # Old kernels slow a filtered process down, to protect secrets in it: there are none. Old libraries lack this.
        library.seccomp_attr_set(context, _KEEP_SPEED, 1)
        failed |= library.seccomp_load(context)
        library.seccomp_release(context)
        if failed:
            raise OSError("libseccomp could not load it")


_SECCOMP = _Filter()
