"""Under which account PostgreSQL runs. It refuses to run as root, so root lends it the account `nobody`.

Standard library only: the guard uses it.
"""

import ctypes
import os
import pwd
import sys
from pathlib import Path

_ACCOUNT = "nobody"
_PR_SET_KEEPCAPS = 8
_PR_SET_SECUREBITS = 28
_NO_SETUID_FIXUP = 1 << 2
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_PR_CAPBSET_READ = 23
_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2
_CAPABILITY_VERSION_3 = 0x20080522


def unprivileged() -> tuple[int, int] | None:
    """User and group id of the account that root lends; None when this process is not root and needs none."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam(_ACCOUNT)
    return entry.pw_uid, entry.pw_gid


def reachable(path: Path) -> bool:
    """Whether everybody may pass through all folders above `path`."""
    return all(folder.stat().st_mode & 0o001 for folder in path.absolute().parents)


def become(account: tuple[int, int], passing: bool) -> None:
    """Give up root for good, between fork and exec.

    With `passing` (Linux) one capability is kept: to pass through folders that are closed to others, as root's own home
    and a test run's temporary folder are. The alternative would be to open those folders for everybody. It is read
    access only, or, where a container takes that from root, the weaker-named override that it leaves.
    """
    user, group = account
    capability = _passing_capability() if passing and sys.platform == "linux" else None
    libc = ctypes.CDLL(None, use_errno=True)
    if capability is not None:
        libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
        # Without it access(2), by which PostgreSQL looks for its own programs, forgets the capability.
        libc.prctl(_PR_SET_SECUREBITS, _NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    if capability is not None:
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        bit = 1 << capability
        sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)  # effective, permitted, inheritable; then bits 32 and up
        libc.capset(header, sets)
        libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0)


def _passing_capability() -> int | None:
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (_CAP_DAC_READ_SEARCH, _CAP_DAC_OVERRIDE):
        if libc.prctl(_PR_CAPBSET_READ, capability, 0, 0, 0) == 1:
            return capability
    return None
