"""Runs code that a model wrote where it can do no harm: pass@1 by execution (paper App. D).

A process of its own in namespaces of its own: no network, no other processes, an interpreter that
is read-only and an empty folder in memory, no environment, and limits on CPU, memory, processes,
disk and time. Linux only. What it shares with the outside is the kernel.
"""

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

from shared.errors import BadSettings, TransientError
from shared.jobs.sandbox_guest import TIME_UP

# A guest whose inner process was ended by a signal says so by a status above this.
_SIGNALLED = 128
_GUEST = Path(__file__).with_name("sandbox_guest.py")
_READ_BYTES = 65_536
_STARTS_WITHIN = 30.0


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    TIMED_OUT = "timed out"


@dataclass(frozen=True, slots=True)
class Walls:
    """``seconds`` of time and ``cpu_seconds`` of computing; ``processes`` and threads at once."""

    seconds: float = 10.0
    cpu_seconds: int = 5
    memory_bytes: int = 512 * 2**20
    disk_bytes: int = 16 * 2**20
    processes: int = 1


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended; ``detail`` is the end of what it complained of."""

    outcome: Outcome
    detail: str = ""


WALLS = Walls()


def run_python(program: str, walls: Walls = WALLS) -> Ran:
    """Run a program to its end: passed when it got to its last line and ended well.

    An early exit is a failure: the last line says a word that was drawn for this run. A program
    that searches its own code for that word can cheat. Raises BadSettings where no walls can be
    built: it is never run without; TransientError when it was ended before the program began.
    """
    word = token_hex(16)
    with TemporaryDirectory(prefix="sandbox-") as folder:
        ended, said, detail = _guest(
            f"{program}\nprint({word!r}, flush=True)\n", Path(folder), walls
        )
    if ended == TIME_UP:
        return Ran(Outcome.TIMED_OUT, f"ended after {walls.seconds:g} s")
    passed = ended == 0 and said.rstrip().endswith(word)
    return Ran(Outcome.PASSED if passed else Outcome.FAILED, "" if passed else detail[-2000:])


def _guest(program: str, folder: Path, walls: Walls) -> tuple[int, str, str]:
    """(exit status, what it said, what it complained of)."""
    hear, ready = os.pipe()
    root = folder / "root"
    root.mkdir()
    said, complained = folder / "said", folder / "complained"
    with said.open("wb") as out, complained.open("wb") as err:
        command = [sys.executable, "-I", "-B", str(_GUEST), str(root)]
        guest = subprocess.Popen(
            [*command, json.dumps(asdict(walls)), str(ready)],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=err,
            cwd=root,
            env={},
            pass_fds=(ready,),
            start_new_session=True,
        )
    os.close(ready)
    try:
        ended = _awaited(guest, program, walls.seconds)
    finally:
        stands = os.read(hear, 16) == b"ready"
        os.close(hear)
    detail = _read(complained)
    if not stands and (ended < 0 or ended > _SIGNALLED):
        number = -ended if ended < 0 else ended - _SIGNALLED
        raise TransientError(
            f"the sandbox was ended by signal {number} before its code ran: "
            "give the worker more memory if this comes again"
        )
    if not stands and ended != TIME_UP:
        why = "".join(detail.strip().splitlines()[-1:])
        raise BadSettings(
            f"this machine builds no sandbox ({why}): code is only run "
            "where Linux lets users make namespaces, see user.max_user_namespaces"
        )
    return ended, _read(said), detail


def _awaited(guest: "subprocess.Popen[bytes]", program: str, seconds: float) -> int:
    try:
        # The guest keeps the time itself; it may be slow to start.
        guest.communicate(program.encode(), timeout=seconds + _STARTS_WITHIN)
    except subprocess.TimeoutExpired:
        return TIME_UP
    finally:
        # Its program dies with it.
        guest.kill()
        guest.wait()
    return guest.returncode


def _read(file: Path) -> str:
    with file.open("rb") as opened:
        opened.seek(max(0, file.stat().st_size - _READ_BYTES))
        return opened.read().decode(errors="replace")
