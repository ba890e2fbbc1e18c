"""Code that a model wrote: what is right passes, what is hostile does no harm."""

import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from shared.domain.answer_form import AnswerForm, Extractor, Scorer
from shared.domain.artifacts import ArtifactRef
from shared.domain.tasks import Task, TaskKind
from shared.errors import BadSettings, TransientError
from shared.job_specs import TrainSpec
from shared.jobs import sandbox
from shared.jobs.sandbox import WALLS, Outcome, run_python
from shared.jobs.train import run_train

if not sys.platform.startswith("linux"):
    pytest.skip("the sandbox is Linux's", allow_module_level=True)

ADD = "def add(a, b):\n    return a + b\n"


@pytest.fixture(scope="module", autouse=True)
def walls_can_be_built() -> None:
    try:
        run_python("pass")
    except BadSettings as error:
        pytest.skip(f"no namespaces on this machine: {error}")


def failed(program: str) -> str:
    ran = run_python(program)
    assert ran.outcome is Outcome.FAILED, ran
    return ran.detail


def test_right_code_passes_and_wrong_code_fails() -> None:
    assert run_python(f"{ADD}\nassert add(2, 3) == 5").outcome is Outcome.PASSED
    assert "AssertionError" in failed(f"{ADD}\nassert add(2, 3) == 6")
    assert "SyntaxError" in failed("def add(a, b:")


def test_the_standard_library_and_an_empty_folder_are_there() -> None:
    program = """
import json, math, collections, re, itertools, heapq, pathlib, tempfile
assert list(pathlib.Path.cwd().iterdir()) == []
pathlib.Path("note").write_text("mine")
assert pathlib.Path("note").read_text() == "mine"
tempfile.NamedTemporaryFile()
"""
    assert run_python(program) == run_python("pass")


@pytest.mark.parametrize("leave", ["import sys; sys.exit(0)", "import os; os._exit(0)"])
def test_who_leaves_early_has_not_passed(leave: str) -> None:
    failed(f"{leave}\nassert False")


def test_an_endless_loop_is_ended() -> None:
    quick = replace(WALLS, seconds=3.0)
    assert run_python("import time\nwhile True: time.sleep(1)", quick).outcome is Outcome.TIMED_OUT
    busy = replace(WALLS, seconds=120.0, cpu_seconds=1)
    assert run_python("while True: pass", busy).outcome is Outcome.FAILED


def test_memory_has_an_end() -> None:
    assert "MemoryError" in failed("x = bytearray(2**30)")


def test_a_fork_bomb_does_not_go_off() -> None:
    said = failed("import os\nos.fork()")
    assert "BlockingIOError" in said
    failed("import os\nwhile True:\n    os.fork()")
    assert "can't start new thread" in failed("import threading\nthreading.Thread().start()")


def test_nothing_answers_from_outside() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        said = failed(f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 2)")
    assert "OSError" in said


def test_no_file_outside_is_read_or_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    secret = tmp_path / "secret"
    secret.write_text("secret")
    secret.chmod(0o666)
    assert "FileNotFoundError" in failed(f"open({str(secret)!r}).read()")
    assert "FileNotFoundError" in failed(f"open('../..{tmp_path}/new', 'w')")
    assert "FileNotFoundError" in failed("open('/etc/passwd').read()")
    assert "FileNotFoundError" in failed("open('/proc/self/environ').read()")
    assert "OSError" in failed("open('/usr/mine', 'w')")
    assert secret.read_text() == "secret"
    assert list(tmp_path.iterdir()) == [secret]


def test_the_disk_has_an_end() -> None:
    assert failed("f = open('big', 'wb')\nwhile True: f.write(bytes(2**20))") is not None
    failed("while True: print('x' * 2**20)")


def test_no_way_out_of_the_root() -> None:
    escape = """
import os
os.mkdir('deeper')
os.chroot('deeper')
"""
    assert "PermissionError" in failed(escape)
    unshare = """
import ctypes, os
if ctypes.CDLL(None, use_errno=True).unshare(0x10000000) != 0:
    raise PermissionError(ctypes.get_errno())
"""
    assert "PermissionError" in failed(unshare)


def test_nobody_else_can_be_ended_or_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIONEER_SECRET", "secret")
    assert run_python("import os\nassert 'PIONEER_SECRET' not in os.environ").outcome == "passed"
    failed(f"import os\nos.kill({os.getpid()}, 9)")
    failed("import os\nassert os.getpid() != 1\nos.kill(-1, 9)")


def test_a_sandbox_that_is_ended_early_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    guest = tmp_path / "guest.py"
    guest.write_text("import os\nos.kill(os.getpid(), 9)")
    monkeypatch.setattr(sandbox, "_GUEST", guest)
    with pytest.raises(TransientError, match="signal 9 before its code ran"):
        run_python("pass")


def test_what_could_not_be_graded_is_not_trained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    guest = tmp_path / "guest.py"
    guest.write_text("raise SystemExit('no namespaces here')")
    monkeypatch.setattr(sandbox, "_GUEST", guest)
    task = Task(TaskKind.GENERATION, (), AnswerForm(scorer=Scorer.PASSES, extractor=Extractor.CODE))
    rows = ArtifactRef("file:///rows", "0" * 64)
    with pytest.raises(BadSettings, match="no namespaces here"):
        run_train(TrainSpec(task=task, training_set=rows, candidates=()), "job", str(tmp_path))
