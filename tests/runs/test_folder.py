"""A run: its files, its one writer, and what happens to both when a process is killed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from temporaries import temporary_name

from taichi_idr.errors import BadInput, CannotCreate, InputMissing, Locked
from taichi_idr.methods.catalogue import make_config
from taichi_idr.runs import folder as run_folder
from taichi_idr.runs.folder import RunFolder, newest_run, open_run

HOLD = """
import sys, time, pathlib
from taichi_idr.runs import lock as run_lock
with run_lock.hold(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "runs" / "skull")
    folder.create()
    folder.write_config(make_config("fast", []))
    return folder


def write_lock(run: RunFolder, pid: int, host: str, started: float) -> None:
    (run.path / "run.lock").write_text(json.dumps({"pid": pid, "host": host, "started": started}))


class TestFolder:
    def test_the_configuration_comes_back(self, run: RunFolder) -> None:
        config = make_config("fast", ["loss.mask_weight=7", "seed=3"], time_limit=12.5)
        run.write_config(config)
        assert run.read_config() == config

    def test_a_run_is_created_with_its_parents(self, run: RunFolder) -> None:
        assert run.exists
        assert open_run(run.path).path == run.path

    @pytest.mark.parametrize("name", ["config.toml", "metrics.jsonl"])
    def test_a_folder_of_another_program_is_refused(self, tmp_path: Path, name: str) -> None:
        (tmp_path / name).write_text("mine = true")
        with pytest.raises(
            CannotCreate, match=r"its config.toml or metrics.jsonl is not of a run; choose another --out"
        ):
            RunFolder(tmp_path).create()
        assert (tmp_path / name).read_text() == "mine = true"

    def test_what_is_no_run(self, tmp_path: Path) -> None:
        with pytest.raises(InputMissing, match=r"^no such run \(nowhere\): name a folder that tidr fit wrote$"):
            open_run(Path("nowhere"))
        with pytest.raises(
            BadInput, match=r"^not a run \(.*\): no config.toml in it; name a folder that tidr fit wrote$"
        ):
            open_run(tmp_path)

    @pytest.mark.fault(72)
    def test_a_name_that_no_folder_can_have(self, tmp_path: Path) -> None:
        path = tmp_path / ("x" * 300)
        with pytest.raises(InputMissing, match="File name too long; name a folder"):
            open_run(path)
        with pytest.raises(CannotCreate, match="File name too long; choose a folder"):
            RunFolder(path).create()

    def test_the_newest_run_is_the_one_written_last(self, run: RunFolder) -> None:
        other = RunFolder(run.path.parent / "teapot")
        other.create()
        other.write_config(make_config("fast", []))
        run.append_metrics({"step": 1})
        os.utime(other.config_file, (1, 1))
        os.utime(other.checkpoints, (2, 2))
        assert newest_run(run.path.parent) == run.path
        os.utime(other.checkpoints, (2**32, 2**32))
        assert newest_run(run.path.parent) == other.path

    def test_no_run_at_all(self, tmp_path: Path) -> None:
        with pytest.raises(
            InputMissing, match=r"^no run \(.*\): fit a capture first: tidr fit CAPTURE, or name a run$"
        ):
            newest_run(tmp_path / "runs")

    def test_a_fresh_start_moves_only_the_files_of_the_run(self, run: RunFolder) -> None:
        (run.path / "notes.txt").write_text("mine")
        (run.checkpoints / "00000001.tidr").write_bytes(b"first")
        run.set_aside()
        assert (run.path / "previous/checkpoints/00000001.tidr").read_bytes() == b"first"
        assert (run.path / "previous/config.toml").is_file()
        assert sorted(path.name for path in run.path.iterdir()) == ["checkpoints", "notes.txt", "previous"]
        run.set_aside()
        assert [path.name for path in (run.path / "previous").iterdir()] == ["checkpoints"]

    @pytest.mark.fault(57)
    def test_a_damaged_configuration(self, run: RunFolder) -> None:
        run.config_file.write_bytes(b"\xff\xfe")
        with pytest.raises(BadInput, match="unreadable configuration"):
            run.read_config()
        run.config_file.unlink()
        with pytest.raises(InputMissing, match="no such file"):
            run.read_config()


class TestMetrics:
    def test_lines_are_json_even_where_numbers_are_not_finite(self, run: RunFolder) -> None:
        run.append_metrics({"step": 1, "loss": float("nan"), "psnr": 20.5})
        run.append_metrics({"step": 2, "loss": float("inf")})
        assert run.metrics_file.read_text() == ('{"step": 1, "loss": null, "psnr": 20.5}\n{"step": 2, "loss": null}\n')

    @pytest.mark.fault(61)
    def test_a_torn_last_line_costs_only_itself(self, run: RunFolder) -> None:
        run.metrics_file.write_text('{"step": 1}\n{"step": 2, "lo')
        run.append_metrics({"step": 3})
        run.append_metrics({"step": 4})
        assert [record["step"] for record in run.read_metrics()] == [1, 3, 4]

    def test_what_a_lost_part_of_the_fit_logged_is_forgotten(self, run: RunFolder) -> None:
        for step in (50, 100, 150):
            run.append_metrics({"step": step})
        run.rewind_metrics(100)
        assert [record["step"] for record in run.read_metrics()] == [50, 100]

    @pytest.mark.fault(62)
    def test_a_full_disk_is_one_warning(
        self, run: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def full(*_: object) -> None:
            raise OSError(28, os.strerror(28))

        monkeypatch.setattr(run_folder, "append", full)
        run.append_metrics({"step": 1})
        run.append_metrics({"step": 2})
        why = "No space left on device; the fit goes on without a log"
        assert capsys.readouterr().err == f"tidr: warning: cannot write {run.metrics_file}: {why}\n"


LINKED = ("config.toml", "metrics.jsonl", "checkpoints", "run.lock", "mesh", "renders/preview", "report", "previous")


class TestLinks:
    """Somebody else's run may hold links: what commands write would land where they lead."""

    @pytest.mark.parametrize("name", LINKED)
    def test_a_link_in_a_run_is_refused_before_anything_is_written(
        self, run: RunFolder, tmp_path: Path, name: str
    ) -> None:
        victim, place = tmp_path / "victim", run.path / name
        if place.exists():
            place.replace(victim)
        elif place.suffix:
            victim.write_text("mine")
        else:
            victim.mkdir()
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(victim)
        before = sorted(tmp_path.rglob("*")), victim.read_bytes() if victim.is_file() else b""
        for attempt in (run.create, lambda: open_run(run.path)):
            with pytest.raises(CannotCreate, match=f"^a link where output goes .*{name}.: what is written there would"):
                attempt()
        assert (sorted(tmp_path.rglob("*")), victim.read_bytes() if victim.is_file() else b"") == before

    def test_a_link_that_appears_later_costs_the_log(
        self, run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "victim").write_text("mine")
        run.metrics_file.symlink_to(tmp_path / "victim")
        run.append_metrics({"step": 1})
        assert (tmp_path / "victim").read_text() == "mine"
        assert "the fit goes on without a log" in capsys.readouterr().err

    def test_a_lock_that_is_a_link_or_a_pipe(self, run: RunFolder, tmp_path: Path) -> None:
        (tmp_path / "victim").write_text("mine")
        lock = run.path / "run.lock"
        lock.symlink_to(tmp_path / "victim")
        with pytest.raises(CannotCreate, match="a link where output goes"), run.lock():
            pass
        assert (tmp_path / "victim").read_text() == "mine"
        lock.unlink()
        os.mkfifo(lock)
        with pytest.raises(CannotCreate, match=r"cannot create lock .*not a regular file"), run.lock():
            pass

    def test_the_run_itself_may_be_a_link(self, run: RunFolder, tmp_path: Path) -> None:
        (tmp_path / "here").symlink_to(run.path)
        assert open_run(tmp_path / "here").path == tmp_path / "here"
        with RunFolder(tmp_path / "here").lock():
            assert (run.path / "run.lock").is_file()


class TestLock:
    def test_it_names_its_holder_and_goes_with_it(self, run: RunFolder) -> None:
        with run.lock():
            held = json.loads((run.path / "run.lock").read_text())
            assert (held["pid"], held["host"]) == (os.getpid(), socket.gethostname())
        assert not (run.path / "run.lock").exists()

    def test_two_writers_in_one_process(self, run: RunFolder) -> None:
        with run.lock():
            with pytest.raises(Locked, match=f"process {os.getpid()} on "), run.lock():
                pass
            assert (run.path / "run.lock").exists()

    @pytest.mark.fault(66)
    def test_a_living_process_keeps_others_out_and_a_killed_one_does_not(self, run: RunFolder) -> None:
        lock = str(run.path / "run.lock")
        with subprocess.Popen([sys.executable, "-c", HOLD, lock], stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(Locked) as caught, run.lock():
                pass
            holder.kill()
        assert str(caught.value) == (
            f"run is in use ({run.path}): process {holder.pid} on {socket.gethostname()} writes it; "
            "wait for it, choose another --out, or remove run.lock if that process is gone"
        )
        assert Path(lock).exists()
        with run.lock():
            assert json.loads(Path(lock).read_text())["pid"] == os.getpid()

    @pytest.mark.fault(66)
    def test_a_number_that_another_process_has_by_now(self, run: RunFolder) -> None:
        parent = psutil.Process(os.getppid())
        write_lock(run, parent.pid, socket.gethostname(), parent.create_time() - 1000)
        with run.lock():
            pass

    def test_a_process_that_lives(self, run: RunFolder) -> None:
        """As on a file system whose locks do not work: the names decide."""
        parent = psutil.Process(os.getppid())
        write_lock(run, parent.pid, socket.gethostname(), parent.create_time())
        with pytest.raises(Locked, match=f"process {parent.pid} on "), run.lock():
            pass

    @pytest.mark.fault(66)
    def test_another_host_counts_as_alive(self, run: RunFolder, dead_pid: int) -> None:
        write_lock(run, dead_pid, "elsewhere", 0.0)
        with pytest.raises(Locked, match=f"process {dead_pid} on elsewhere writes it"), run.lock():
            pass

    @pytest.mark.parametrize(
        "content",
        [
            "",
            "{",
            "[" * 5000,
            '{"pid": 1}',
            "null",
            '{"pid": -1, "host": "HOST", "started": 3}',
            '{"pid": 0, "host": "HOST", "started": 3}',
            '{"pid": "x", "host": "HOST", "started": 3}',
            '{"pid": 1180591620717411303424, "host": "HOST", "started": 3}',
            '{"pid": true, "host": "HOST", "started": 3}',
            '{"pid": 1, "host": 7, "started": 3}',
            '{"pid": 1, "host": "HOST", "started": "x"}',
            '{"pid": 1, "host": "HOST", "started": NaN}',
            '{"pid": 1, "host": "HOST", "started": 1e999}',
        ],
        ids=lambda text: text[:44] or "empty",
    )
    def test_a_lock_that_names_nobody_is_taken_over(self, run: RunFolder, content: str) -> None:
        (run.path / "run.lock").write_text(content.replace("HOST", socket.gethostname()))
        with run.lock():
            pass

    def test_half_written_files_of_the_dead_are_removed(self, run: RunFolder, dead_pid: int) -> None:
        stale = run.checkpoints / temporary_name(dead_pid, ".tidr")
        stale.touch()
        with run.lock():
            assert not stale.exists()


def test_the_default_place_of_a_run() -> None:
    assert run_folder.default_run("scan65") == Path("runs/scan65")
