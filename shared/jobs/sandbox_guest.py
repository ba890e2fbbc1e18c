"""The inside of the sandbox: shuts the door behind itself, then becomes the program on stdin.

Run as ``python -I -B sandbox_guest.py ROOT LIMITS READY``; standard library only. ``ROOT`` is an
empty folder, ``LIMITS`` JSON, ``READY`` a file descriptor that hears it when all walls stand.
"""

import ctypes
import json
import os
import resource
import secrets
import signal
import sys
import time
from pathlib import Path

_NEW_MOUNTS, _NEW_UTS, _NEW_IPC = 0x20000, 0x4000000, 0x8000000
_NEW_USER, _NEW_PIDS, _NEW_NET = 0x10000000, 0x20000000, 0x40000000
_READ_ONLY, _NO_SUID, _NO_DEV = 1, 2, 4
_REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 32, 4096, 16384, 1 << 18
_DIE_WITH_PARENT, _NO_NEW_PRIVILEGES = 1, 38
TIME_UP = 124
# Of the flags of a mount, those that must not be taken from it in another namespace. One of them
# has another number where it is read.
_LOCKED = 1 | 2 | 4 | 8 | 1024 | 2048
_RELATIVE_TIMES, _RELATIVE_TIMES_SEEN = 1 << 21, 4096

_libc = ctypes.CDLL(None, use_errno=True)


def main(root: Path, limits: dict[str, float], ready: int) -> None:
    """Never returns: the process becomes the program, or ends as its program ended."""
    python = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    os.umask(0o022)
    user = _apart()
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    child = os.fork()
    if child:
        os.close(ready)
        os._exit(_awaited(child, limits["seconds"]))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
    _furnish(root, limits["disk_bytes"], python)
    os.chown(root / "work", user, -1)
    os.chroot(root)
    os.chdir("/work")
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    _call("prctl", _DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    _call("prctl", _NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    bounds = (
        (resource.RLIMIT_CPU, limits["cpu_seconds"]),
        (resource.RLIMIT_AS, limits["memory_bytes"]),
        (resource.RLIMIT_FSIZE, limits["disk_bytes"]),
        # One more where the process that waits is of the same user.
        (resource.RLIMIT_NPROC, int(limits["processes"]) + (os.getuid() < 1_000_000_000)),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    )
    for name, value in bounds:
        resource.setrlimit(name, (int(value), int(value)))
    os.write(ready, b"ready")
    os.closerange(3, 256)
    clean = {"PATH": "/usr/bin", "HOME": "/work", "TMPDIR": "/work", "LANG": "C.UTF-8"}
    # Whoever is not root keeps no privilege over this.
    os.execve(python, [str(python), "-I", "-B", "-"], clean)


def _apart() -> int:
    """Leave the namespaces of this machine; the user that the program will be.

    Root becomes a user that nobody is: its processes alone count against its limit.
    """
    spaces = _NEW_MOUNTS | _NEW_NET | _NEW_PIDS | _NEW_IPC | _NEW_UTS
    user, group = os.getuid(), os.getgid()
    if user == 0:
        _call("unshare", spaces)
        return 1_000_000_000 + secrets.randbelow(1_000_000_000)
    _call("unshare", spaces | _NEW_USER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    return user


def _awaited(child: int, seconds: float) -> int:
    """The program's exit status; whoever is first among processes takes all along when it ends."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        signal.sigtimedwait([signal.SIGCHLD], left)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return TIME_UP


def _furnish(root: Path, size: float, python: Path) -> None:
    """A root in memory with the interpreter and its libraries, read-only, and an empty /work."""
    _mount(None, Path("/"), None, _RECURSIVE | _PRIVATE)
    _mount("tmpfs", root, "tmpfs", _NO_SUID | _NO_DEV, f"size={int(size)},mode=755")
    wanted = [Path(p) for p in ("/usr", "/lib", "/lib64", "/etc/ld.so.cache")]
    for path in dict.fromkeys([*wanted, Path(sys.base_prefix).resolve(), python.parent]):
        inside = root / path.relative_to("/")
        if not path.exists() or os.path.lexists(inside):
            continue
        inside.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            inside.symlink_to(path.readlink())
        else:
            _show(path, inside)
    (root / "work").mkdir()


def _show(path: Path, inside: Path) -> None:
    if path.is_dir():
        inside.mkdir()
    else:
        inside.touch()
    _mount(str(path), inside, None, _BIND | _RECURSIVE)
    found = os.statvfs(inside).f_flag
    kept = found & _LOCKED | (_RELATIVE_TIMES if found & _RELATIVE_TIMES_SEEN else 0)
    _mount(None, inside, None, _BIND | _REMOUNT | _READ_ONLY | _NO_SUID | kept)


def _mount(source: str | None, target: Path, kind: str | None, flags: int, data: str = "") -> None:
    _call("mount", _bytes(source), _bytes(str(target)), _bytes(kind), flags, _bytes(data))


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode()


def _call(name: str, *arguments: object) -> None:
    made = [ctypes.c_ulong(a) if isinstance(a, int) else a for a in arguments]
    if getattr(_libc, name)(*made) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]), int(sys.argv[3]))
