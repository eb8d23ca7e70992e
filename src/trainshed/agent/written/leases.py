"""Whether anybody is writing to a file, as the kernel knows it."""

import errno
import fcntl
import signal
from typing import Final

_NO_LEASE: Final = frozenset({errno.EACCES, errno.EPERM, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})


def is_being_written(fd: int) -> bool | None:
    """Tell whether anybody has the file open for writing; None where the kernel does not say.

    A lease for reading is given only when nobody has. It is handed back at once: a program that
    opens the file just then waits for some microseconds.
    """
    # Whoever opens it meanwhile has a signal sent to us, which by default would end us.
    fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno in _NO_LEASE:
            return None
        raise
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
