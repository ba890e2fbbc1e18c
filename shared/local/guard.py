"""Runs one command and ends everything that came of it when its owner goes away.

Started as `python -I -S guard.py GRACE LOCK_FD COMMAND…` in a session of its own, with a socket
as stdin whose other end only the owner holds. Its end, SIGTERM or the owner's death stop the
whole tree (terminate, wait GRACE seconds, kill); SIGUSR1 kills it at once. It imports little: one
guard runs for each part.
"""

import ctypes
import os
import select
import signal
import sys
import time
from types import FrameType

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
ON_LINUX = sys.platform == "linux"


def prctl(option: int, value: int) -> None:
    """Set a process attribute on Linux; elsewhere do nothing."""
    if ON_LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def spawn(command: list[str]) -> int:
    """Start the command so that it dies with this guard; return its pid."""
    pid = os.fork()
    if pid:
        return pid
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"cannot run {command[0]}: {error}\n".encode())
        os._exit(127)


def parents() -> dict[int, int]:
    """Every process of the machine with its parent, zombies left out."""
    table: dict[int, int] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", errors="replace") as stat:  # noqa: PTH123
                # A command's name may hold spaces and brackets; what follows it does not.
                state, parent = stat.read().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state != "Z":
            table[int(name)] = int(parent)
    return table


def descendants() -> list[int]:
    """All living processes below this guard, also those that moved to a session of their own."""
    table = parents()
    found, level = list[int](), {os.getpid()}
    while level:
        level = {pid for pid, parent in table.items() if parent in level}
        found.extend(level)
    return found


class Guard:
    """Watches one command, its children, and those it left behind."""

    def __init__(self, command: list[str], grace: float) -> None:
        self.grace = grace
        self.owner = os.getppid()
        self.stopping = self.killing = False
        self.exit_code: int | None = None
        self.core: set[int] = set()
        signal.signal(signal.SIGTERM, self.on_signal)
        signal.signal(signal.SIGUSR1, self.on_signal)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        self.child = spawn(command)

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True
        self.killing = number == signal.SIGUSR1

    def living(self) -> list[int]:
        # Without /proc only the command itself is known; its own clean-up has to do there.
        return descendants() if ON_LINUX else [self.child] if self.exit_code is None else []

    def send(self, number: int) -> None:
        for pid in self.living():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def hand_over(self) -> bool:
        """Tell the owner that the command has done its work; False when nobody listens."""
        try:
            os.write(0, b".")
        except OSError:
            return False
        return True

    def reap(self) -> bool:
        """Collect the dead; False when no child is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.child:
                self.exit_code = os.waitstatus_to_exitcode(status)
                # Daemons that the command leaves behind (`ray start`) are this guard's by now.
                self.core = (
                    {pid for pid, parent in parents().items() if parent == os.getpid()}
                    if ON_LINUX
                    else set()
                )
                self.stopping |= self.exit_code != 0 or not self.hand_over()
            elif pid in self.core:
                # Half a system answers some questions and hangs on others: end it all instead.
                self.exit_code, self.stopping = 1, True

    def watch(self) -> None:
        """Return when there is a reason to stop or nothing left to watch."""
        while self.reap() and not self.stopping:
            ended, _, _ = select.select([0], [], [], 0.2)
            self.stopping |= bool(ended) or os.getppid() != self.owner

    def stop(self) -> None:
        """End every process below this guard."""
        deadline = time.monotonic() + self.grace
        self.send(signal.SIGTERM if not self.killing else signal.SIGKILL)
        while self.reap():
            if self.killing or time.monotonic() > deadline:
                self.send(signal.SIGKILL)
            time.sleep(0.02)


def main() -> int:
    """Run the command of the command line; return its exit code."""
    grace, lock, *command = sys.argv[1:]
    os.set_inheritable(int(lock), False)
    guard = Guard(command, float(grace))
    guard.watch()
    guard.stop()
    return max(guard.exit_code or 0, 0)


if __name__ == "__main__":
    sys.exit(main())
