"""The benchmarks that start Ray: whose CPU time is counted, and how figures follow from events."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench import load, ray_rows, sweep_rows
from tests.bench.ray_child import Child
from tests.bench.ray_epochs import Gate
from tests.bench.ray_rows import per_minute, start_seconds, told_seconds
from tests.bench.ray_tree import Tree
from tests.bench.rounds import Row, meets

ROWS = [*ray_rows.ROWS, *sweep_rows.ROWS]
BURN = "import time\nwhile time.process_time() < 0.5: pass\n"
SPEAKING = """
import signal, subprocess, sys, time
from pathlib import Path
from tests.bench.ray_child import tell

def speak(given):
    tell(trial=given["number"], is_there=Path(given["folder"]).exists())
    if given["number"] < 0:
        raise ValueError("no such trial")

def leave(given):
    # Nobody waits for a child of one that ignores its children's ends, as Ray's own does.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    burnt = Path(given["folder"], "burnt")
    burn = given["burn"] + f"open({str(burnt)!r}, 'w').close()"
    subprocess.Popen([sys.executable, "-c", burn])
    while not burnt.exists():
        time.sleep(0.05)
"""
PARENT = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}])\n"


def test_the_cpu_time_of_a_childs_child_is_counted_also_when_both_are_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT]) as process:
        tree = Tree(process.pid)
        process.wait()
    tree.end()
    assert 0.1 < tree.seconds() < 5.0


def test_a_tree_that_is_ended_leaves_no_process() -> None:
    code = "import subprocess\nsubprocess.run(['sleep', '60'])\n"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        tree = Tree(process.pid)
        tree.end()
        assert process.wait(5) == -9
        assert process.stdout is not None
        assert process.stdout.read() == b"", "a child would hold it open"


@pytest.fixture
def speaking(tmp_path: Path) -> str:
    """Give where children find a module whose `speak` tells what it was given."""
    (tmp_path / "speaking.py").write_text(SPEAKING)
    return f"{Path(__file__).parents[1]}:{tmp_path}"


def test_a_child_tells_in_lines_and_its_folder_goes_with_it(speaking: str) -> None:
    child = Child("speaking:speak", {"number": 3}, PYTHONPATH=speaking)
    assert list(child.lines()) == [{"trial": 3, "is_there": True}]
    child.check()
    assert child.end() >= 0.0
    assert not child.folder.exists()


def test_cpu_time_that_nobody_waited_for_is_not_taken_for_that_of_others(
    speaking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    credited: list[float] = []
    monkeypatch.setattr(load, "credit", credited.append)
    child = Child("speaking:leave", {"burn": BURN}, PYTHONPATH=speaking)
    child.check()
    assert child.end() > credited[0] > 0.1


def test_a_child_that_fails_says_its_last_words(speaking: str) -> None:
    child = Child("speaking:speak", {"number": -1}, PYTHONPATH=speaking)
    with pytest.raises(RuntimeError, match="ValueError: no such trial"):
        child.check()
    child.end()


def test_an_epoch_is_told_when_it_was_asked_for(tmp_path: Path) -> None:
    gate = Gate(str(tmp_path), 1)
    (tmp_path / "go-1").touch()
    gate.wait()
    gate.tell()
    assert 0.0 <= float((tmp_path / "spent-1-1").read_text()) < 60.0


def test_a_slots_wait_is_from_its_end_to_the_first_step_of_whoever_comes_next() -> None:
    ended = [
        {"first_step_at": 1.0, "ended_at": 5.0},
        {"first_step_at": 2.0, "ended_at": 4.0},
        {"first_step_at": 4.5, "ended_at": 8.0},
        {"first_step_at": 7.0, "ended_at": 9.0},
    ]
    assert start_seconds(ended, 2) == [0.5, 2.0]
    assert per_minute(ended) == 3 * 60.0 / 5.0


def test_a_slots_first_trial_does_not_count_as_its_worker_starts_then() -> None:
    rows = [{"trial": n, "start_seconds": s} for n, s in enumerate((9.0, 8.0, 0.1, None, 0.2))]
    assert told_seconds(rows, 2) == [0.1, 0.2]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_that_starts_ray_is_run_only_by_name_and_its_goals_can_be_read(row: Row) -> None:
    assert row.is_long
    for goal in filter(None, (row.goal, row.absolute_goal)):
        assert meets(0.0, goal) == goal.startswith("<=")
