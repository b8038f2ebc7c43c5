"""Becomes a part's program, tied to the life of the process that started it.

Run as a script (`python -I -S launch.py PARENT SIGNAL ACCOUNT -- PROGRAM …`), so that nothing of
ours runs between fork and exec in a process that may have threads. It imports the standard library
only and takes about ten milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys

PR_SET_PDEATHSIG = 1
PR_SET_SECUREBITS = 28
SECBIT_NO_SETUID_FIXUP = 4
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
LINUX_CAPABILITY_VERSION_3 = 0x20080522


def main(arguments: list[str]) -> None:
    """Drop to the account, ask to die with the parent, and exec the program."""
    parent, death_signal, account = int(arguments[0]), int(arguments[1]), arguments[2]
    program = arguments[4:]
    if account:
        _become(account)
    if sys.platform == "linux":
        # After the change of user: the kernel clears it when credentials change.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the process that started this one is gone")
    # Python ignores SIGPIPE and SIGXFSZ and exec would pass that on.
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_DFL)
    os.execv(program[0], program)  # noqa: S606 - the program is our own part


def _become(account: str) -> None:
    """Continue as *account*, still able to pass the folders above a checkout owned by root.

    Postgres refuses to run as root but must reach its binaries and data below, say, `/root`. One
    kept capability does that without changing a permission on anybody's disk.
    """
    import pwd

    entry = pwd.getpwnam(account)
    libc = ctypes.CDLL(None)
    # Without this bit the change of user takes all capabilities, and access() ignores the one
    # kept. Where it cannot be set the server still runs, as long as its folders are open to all.
    keeping = (
        sys.platform == "linux"
        and libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) == 0
    )
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    if keeping:
        header = struct.pack("=Ii", LINUX_CAPABILITY_VERSION_3, 0)
        bits = 1 << CAP_DAC_OVERRIDE
        # Effective, permitted, inheritable; then the same for capabilities 32 to 63: none.
        if libc.capset(header, struct.pack("=6I", bits, bits, bits, 0, 0, 0)) != 0:
            sys.exit("the capabilities of root could not be given up")
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


if __name__ == "__main__":
    main(sys.argv[1:])
