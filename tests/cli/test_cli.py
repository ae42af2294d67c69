"""The command line: options arrive, every failure is one line and an exit code, help costs nothing."""

from __future__ import annotations

import errno
import os
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import captures
import pytest

from taichi_idr import __version__, errors
from taichi_idr.cli.main import run
from taichi_idr.commands.prepare import Knowledge
from taichi_idr.methods.catalogue import make_config
from taichi_idr.runs.folder import RunFolder
from taichi_idr.types import CaptureReading

HEAVY = ("torch", "taichi", "numpy", "rich")
COMMANDS = (
    "scan",
    "prepare",
    "mask",
    "check",
    "fit",
    "mesh",
    "paint",
    "points",
    "shapes",
    "flow",
    "batch",
    "render",
    "view",
    "eval",
    "swap",
    "convert",
    "import-idr",
    "demo",
    "doctor",
    "bench",
)
HELP_SECONDS = 0.5

IMPORTED = """
import sys
from taichi_idr.cli.main import run
code = run(sys.argv[1:])
print(code, [name for name in {heavy} if name in sys.modules], file=sys.stderr)
"""

STAND_IN = """
import signal, sys, time, types
signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent in the background ignores it, and so would this
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # likewise under nohup
stand_in = types.ModuleType("taichi_idr.commands.fit")
def fit_capture(*arguments, **options):
    print("started", flush=True)
    {body}
stand_in.fit_capture = fit_capture
sys.modules["taichi_idr.commands.fit"] = stand_in
sys.argv = ["tidr", "fit", "photos", "--arch", "cpu"]
from taichi_idr.cli.main import main
main()
"""


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, Callable[..., Any]], None]:
    """Put a function in place of a module that a command imports."""

    def put(module: str, function: str, body: Callable[..., Any]) -> None:
        fake = types.ModuleType(module)
        setattr(fake, function, body)
        monkeypatch.setitem(sys.modules, f"taichi_idr.{module}", fake)

    return put


@pytest.fixture
def run_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only run below the current folder."""
    monkeypatch.chdir(tmp_path)
    folder = RunFolder(Path("runs/skull"))
    folder.create()
    folder.write_config(make_config("fast", []))
    return folder.path


def stand_in_process(body: str, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", STAND_IN.format(body=body)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=folder, **pipes)  # pyright: ignore[reportCallIssue, reportArgumentType]


class TestHelp:
    @pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)])
    def test_it_imports_nothing_heavy(self, arguments: list[str]) -> None:
        command = [sys.executable, "-c", IMPORTED.format(heavy=HEAVY), *arguments]
        result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
        assert result.stderr == "0 []\n"
        assert result.stdout.startswith(("Usage: tidr", f"tidr {__version__}\n"))

    def test_it_is_quick(self) -> None:
        """Time on the CPU, the least of three: the machine may be busy."""

        def seconds() -> float:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-m", "taichi_idr", "--help"], stdout=subprocess.DEVNULL, check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

        assert min(seconds() for _ in range(3)) < HELP_SECONDS

    def test_nothing_to_do(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run([]) == 2
        assert capsys.readouterr().out.startswith("Usage: tidr")


WRONG = {
    "fit nowhere": 66,
    "fit empty": 66,
    "fit few": 65,
    "fit bare": 66,
    "fit photos --preset fats": 2,
    "fit photos --set los.alpha=3": 2,
    "fit photos --set seed=x": 2,
    "fit photos --init-cameras none.npz": 66,
    "mesh": 66,
    "mesh nowhere": 66,
    "mesh run --out a.dae": 2,
    "mesh run --bodies 0": 2,
    "paint none.ply photos": 66,
    "paint run photos": 66,
    "paint photos/cameras.npz nowhere": 66,
    "paint photos/cameras.npz bare --light noon": 2,
    "paint photos/cameras.npz photos --preset fats": 2,
    "paint photos/cameras.npz photos --set seen.grazig=1": 2,
    "paint photos/cameras.npz photos --subdivide 0": 2,
    "points nowhere.ply": 66,
    "points run": 66,
    "points run/config.toml": 65,
    "points photos/image/000.png": 65,
    "points none.xyz --preset idr": 2,
    "points none.xyz --set cloud.raduis=1": 2,
    "points none.xyz --bodies 0": 2,
    "shapes": 2,
    "shapes nowhere.ply": 66,
    "shapes empty": 66,
    "shapes photos/cameras.npz": 65,
    "shapes photos/image/000.png": 65,
    "shapes one.ply --preset fats": 2,
    "shapes one.ply --set schedule.stepps=1": 2,
    "shapes one.ply --interpolate 0": 2,
    "shapes one.ply --sample 2": 2,
    "shapes --out run --sample 2": 66,
    "flow nowhere": 66,
    "flow photos/cameras.npz": 66,
    "flow empty": 66,
    "flow run --preset slow": 2,
    "flow run --set velocity.widht=8": 2,
    "flow run --res 100": 2,
    "render nowhere": 66,
    "eval run --gt-mesh none.ply": 66,
    "eval run --gt-cameras none.npz": 66,
    "eval run --protocol dtu --dtu none": 66,
    "eval run --scan 7": 2,
    "swap --geometry run --appearance run --out a.avi": 2,
    "swap --geometry run --appearance run --out a.mp4 --path none.npz": 66,
    "check nowhere": 66,
    "check bare": 66,
    "check few": 65,
    "convert nowhere new": 66,
    "convert bare new": 66,
    "convert photos run": 73,
    "convert photos new --to ply": 2,
    "import-idr none.pth --out new": 66,
    "import-idr none.pth cameras.pth --out new": 2,
    "import-idr run/config.toml --capture bare --out new": 66,
    "fit photos --cameras train --init-cameras none.npz": 66,
    "scan nowhere": 66,
    "scan empty --masks none": 66,
    "prepare empty": 66,
    "batch photos --do fit,dance": 2,
    "batch photos --fit '--presett fast'": 2,
    "batch photos --fit '--fresh'": 2,
    "batch photos --do fit --mesh '--res 64'": 2,
    "batch photos --slurm cores=2": 2,
    "batch photos --slurm-dry-run": 2,
    "batch photos --scheduler nowhere --slurm 'cores=2 memory=1GB'": 2,
    "batch photos few/../photos": 2,
    "prepare photos": 65,
    "prepare photos --masks none": 65,
    "prepare photos --region 1,2,3": 2,
    "bench --compare none.json none.json": 66,
    "bench --sizes x": 2,
}
"""Command lines that are wrong, and their exit codes."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A capture, captures that lack something, a run, and what could be a mesh."""
    folder = tmp_path_factory.mktemp("place")
    captures.make_capture(folder / "photos", views=3)
    (folder / "empty").mkdir()
    (folder / "one.ply").write_text("ply")
    for lacking in ("few", "bare"):
        shutil.copytree(folder / "photos", folder / lacking)
    (folder / "few" / "image" / "000.png").unlink()
    shutil.rmtree(folder / "bare" / "mask")
    made = RunFolder(folder / "run")
    made.create()
    made.write_config(make_config("fast", []))
    shutil.copytree(made.path, folder / "runs" / "damaged")
    (folder / "runs" / "damaged" / "config.toml").unlink()
    return folder


@pytest.mark.parametrize("line", WRONG)
def test_what_is_wrong_is_said_before_anything_heavy_is_imported(line: str, place: Path) -> None:
    """torch and Taichi take seconds."""
    command = [sys.executable, "-c", IMPORTED.format(heavy=("torch", "taichi", "scipy")), *shlex.split(line)]
    result = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=60, check=True)
    error, imported = result.stderr.splitlines()
    assert error.startswith("tidr: error: ")
    assert imported == f"{WRONG[line]} []"
    assert sorted(path.name for path in (place / "runs").iterdir()) == ["damaged"]


class TestArguments:
    def test_fit_passes_everything_on(self, stand_in: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
        seen: dict[str, Any] = {}

        def fit_capture(capture: Path, **options: Any) -> types.SimpleNamespace:
            seen.update(options, capture=capture)
            numbers = {"steps": 5, "seconds": 61.4, "last_step": "PSNR 22.41 dB where hit, mask IoU 0.979"}
            return types.SimpleNamespace(
                run=options["out"],
                **numbers,
                camera_lines=["cameras   turned"],
                exposure_lines=["exposure  fitted"],
                verdict="good",
                steps_line="would help",
            )

        stand_in("commands.fit", "fit_capture", fit_capture)
        line = (
            "fit photos --out run --preset fast --steps 5 --time-limit 9.5 --until 2.5 --rays 64 --downscale 2 "
            "--seed 7 --arch cpu --threads 1 --set loss.alpha=3 --set seed=1 --fresh --normalize --invert-masks "
            "--resize-masks --allow-outside --cameras train --init-cameras rough.npz --ignore wires "
            "--max-pixels 500000 "
            "--masks drawn --focal 900 --quick --region 0,0,1,2 --sfm builtin --keep-support --exposure fixed "
            "--mask-model cuts.onnx"
        )
        assert run(line.split()) == 0
        assert seen == {
            "capture": Path("photos"),
            "out": Path("run"),
            "preset": "fast",
            "steps": 5,
            "time_limit": 9.5,
            "until": 2.5,
            "rays": 64,
            "downscale": 2,
            "seed": 7,
            "cameras": "train",
            "exposure": "fixed",
            "init_cameras": Path("rough.npz"),
            "arch": "cpu",
            "threads": 1,
            "assignments": ["loss.alpha=3", "seed=1"],
            "fresh": True,
            "normalize": True,
            "invert_masks": True,
            "resize_masks": True,
            "allow_outside": True,
            "ignore": Path("wires"),
            "max_pixels": 500_000,
            "knowledge": Knowledge(
                Path("drawn"),
                900.0,
                quick=True,
                region=(0.0, 0.0, 1.0, 2.0),
                sfm="builtin",
                keep_support=True,
                mask_model=Path("cuts.onnx"),
            ),
        }
        assert capsys.readouterr().out.splitlines() == [
            "run       run",
            "steps     5 in 61 s",
            "last step PSNR 22.41 dB where hit, mask IoU 0.979",
            "cameras   turned",
            "exposure  fitted",
            "verdict   good",
            "more      would help",
        ]

    def test_what_was_noticed_before_a_refusal_is_said_with_it(
        self, stand_in: Callable[..., None], capsys: pytest.CaptureFixture[str]
    ) -> None:
        def fit_capture(*_: Any, **__: Any) -> None:
            error = errors.BadInput("masks disagree", where="3 of 9 views")
            error.warnings = ("no scale_mat in cameras.npz", "grey image")
            raise error

        stand_in("commands.fit", "fit_capture", fit_capture)
        assert run(["fit", "photos", "--arch", "cpu"]) == 65
        assert capsys.readouterr().err.splitlines() == [
            "tidr: warning: no scale_mat in cameras.npz",
            "tidr: warning: grey image",
            "tidr: error: masks disagree (3 of 9 views)",
        ]

    def test_a_run_is_named_after_its_capture(self, stand_in: Callable[..., None]) -> None:
        seen: dict[str, Any] = {}

        def fit_capture(_: Path, **options: Any) -> None:
            seen.update(options)
            raise errors.Diverged("enough")

        stand_in("commands.fit", "fit_capture", fit_capture)
        assert run(["fit", "some/where/../photos/", "--arch", "cpu"]) == 76
        assert seen["out"] == Path("runs/photos")
        assert {name for name, value in seen.items() if value is None} == {
            "steps", "time_limit", "until", "rays", "downscale", "seed", "threads", "cameras", "init_cameras", "ignore",
            "exposure",
        }  # fmt: skip

    def test_a_fit_goes_on_until_it_has_converged(self, stand_in: Callable[..., None]) -> None:
        seen: dict[str, Any] = {}

        def fit_capture(_: Path, **options: Any) -> None:
            seen.update(options)
            raise errors.Diverged("enough")

        stand_in("commands.fit", "fit_capture", fit_capture)
        assert run(["fit", "photos", "--until", "converged"]) == 76
        assert seen["until"] == "converged"

    def test_another_end_is_a_usage_error(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["fit", "photos", "--until", "dawn"]) == 2
        assert "'dawn' is neither a number of minutes nor 'converged'" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("command", "module", "function"),
        [
            ("mesh", "commands.mesh", "mesh_run"),
            ("render", "commands.render", "render_run"),
            ("eval", "commands.evaluate", "evaluate_run"),
        ],
    )
    def test_the_newest_run_is_the_default(
        self, stand_in: Callable[..., None], run_path: Path, command: str, module: str, function: str
    ) -> None:
        seen: list[Path] = []
        stand_in(module, function, lambda run, **_: seen.append(run))
        assert run([command, "--arch", "cpu"]) == 0
        assert run([command, str(run_path.resolve()), "--arch", "cpu"]) == 0
        assert seen == [run_path, run_path.resolve()]

    def test_paint_passes_everything_on(self, stand_in: Callable[..., None]) -> None:
        seen: dict[str, Any] = {}
        stand_in("commands.paint", "paint_mesh", lambda *places, **options: seen.update(options, places=places))
        line = (
            "paint a.obj photos --out new --preset light_field --steps 5 --seed 7 --downscale 2 --subdivide 0.5 "
            "--light noon --renders 3 --set seen.margin=2 --arch cpu --invert-masks --resize-masks --allow-outside"
        )
        assert run(line.split()) == 0
        assert seen == {
            "places": (Path("a.obj"), Path("photos")),
            "out": Path("new"),
            "preset": "light_field",
            "assignments": ["seen.margin=2"],
            "steps": 5,
            "seed": 7,
            "downscale": 2,
            "subdivide": 0.5,
            "light": "noon",
            "renders": 3,
            "reading": CaptureReading(invert_masks=True, resize_masks=True, allow_outside=True),
            "arch": "cpu",
        }
        assert run(["paint", "a.obj", "photos", "--subdivide", "none", "--arch", "cpu"]) == 0
        assert seen["subdivide"] == "none"

    def test_batch_passes_everything_on(self, stand_in: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
        seen: dict[str, Any] = {}

        def batch_captures(*places: object, **options: object) -> None:
            seen.update(options, places=places)

        monkeypatch.setattr("taichi_idr.commands.batch.batch_captures", batch_captures)
        line = "batch a b --out new --do report,fit --fit '--preset quality --set seed=3' --report '--frames 0' "
        line += "--workers 3 --threads 2 --slurm 'cores=4 memory=8GB' --arch cpu"
        assert run(shlex.split(line)) == 0
        captures, out, stages, where = seen.pop("places")
        assert (captures, out, seen) == ([Path("a"), Path("b")], Path("new"), {"arch": "cpu"})
        assert [(stage.name, *stage.options) for stage in stages] == [
            ("fit", "--preset", "quality", "--set", "seed=3", "--arch", "cpu"),
            ("report", "--frames", "0", "--arch", "cpu"),
        ]
        assert (where.scheduler, where.workers, where.threads, where.slurm.cores) == (None, 3, 2, 4)

    def test_bodies_are_handed_on(self, stand_in: Callable[..., None], run_path: Path) -> None:
        seen: list[object] = []
        stand_in("commands.mesh", "mesh_run", lambda run, **options: seen.append(options["bodies"]))
        for words in ("", "--bodies largest", "--bodies all", "--bodies 3"):
            assert run(["mesh", "--arch", "cpu", *words.split()]) == 0
        assert seen == ["main", 1, "all", 3]

    def test_a_benchmark_is_handed_on(self, stand_in: Callable[..., None], run_path: Path) -> None:
        seen: dict[str, object] = {}
        stand_in("commands.evaluate", "evaluate_run", lambda run, **options: seen.update(options))
        line = "eval --protocol dtu --dtu set --scan 65 --gt-cameras c.npz --arch cpu"
        assert run(line.split()) == 0
        assert {key: value for key, value in seen.items() if value is not None} == {
            "dtu": Path("set"), "scan": 65, "gt_cameras": Path("c.npz"), "arch": "cpu"
        }  # fmt: skip

    @pytest.mark.parametrize("line", ["--debug fit photos --arch cpu", "fit photos --arch cpu --debug"])
    def test_debug_shows_the_traceback(
        self, stand_in: Callable[..., None], capsys: pytest.CaptureFixture[str], line: str
    ) -> None:
        stand_in("commands.fit", "fit_capture", raising(errors.BadInput("not an image", where="a.png")))
        assert run(line.split()) == 65
        lines = capsys.readouterr().err.splitlines()
        assert lines[0] == "Traceback (most recent call last):"
        assert lines[-1] == "tidr: error: not an image (a.png)"


def raising(error: BaseException) -> Callable[..., None]:
    def body(*_: object, **__: object) -> None:
        raise error

    return body


LINES = {
    "fit": "missing argument 'CAPTURE' (tidr fit): see tidr fit --help",
    "fit photos --zzz 3": "no such option: --zzz (tidr fit): see tidr fit --help",
    "photograph": "no such command 'photograph' (tidr): see tidr --help",
    "eval --protocol dtu": "half a protocol (tidr eval): give both --protocol dtu and --dtu DIR, or none",
    "eval --scan 7": "half a protocol (tidr eval): give both --protocol dtu and --dtu DIR, or none",
    "mesh --arch opencl": (
        "invalid value for '--arch': 'opencl' is not one of 'auto', 'cpu', 'cuda', 'vulkan' (tidr mesh): "
        "see tidr mesh --help"
    ),
    "mesh --bodies two": "unknown choice of bodies (--bodies two): give main, all, largest or a number from 1",
    "mesh nowhere": "no such run (nowhere): name a folder that tidr fit wrote",
    "mesh": "no run (runs): fit a capture first: tidr fit CAPTURE, or name a run",
    "mesh .": "not a run (.): no config.toml in it; name a folder that tidr fit wrote",
}
CODES = {"mesh nowhere": 66, "mesh": 66, "mesh .": 65}


@pytest.mark.parametrize("line", LINES)
def test_what_a_user_can_get_wrong(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(line.split()) == CODES.get(line, 2)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"tidr: error: {LINES[line]}\n")


FAILURES: dict[str, tuple[BaseException, int, str]] = {
    "tidr": (
        errors.Locked("run is in use", where="runs/a", why="process 7 on host writes it", todo="wait for it"),
        75,
        "run is in use (runs/a): process 7 on host writes it; wait for it",
    ),
    "lines": (errors.BadInput("a\nb", where="c\x1b[31m\td"), 65, "a b (c?[31m d)"),
    "stopped": (errors.Stopped("stopped", exit_code=errors.ExitCode(143)), 143, "stopped"),
    "memory": (MemoryError(), 71, "out of memory: ask for less: --downscale 2, --rays 1024 or a smaller --res"),
    "torch_memory": (
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        71,
        "out of memory: DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes; "
        "ask for less: --downscale 2, --rays 1024 or a smaller --res",
    ),
    "disk": (
        OSError(errno.ENOSPC, "No space left on device", "film.mp4"),
        74,
        "write failed (film.mp4): No space left on device",
    ),
    "forbidden": (
        PermissionError(errno.EACCES, "Permission denied", "old.png"),
        73,
        "not allowed (old.png): Permission denied; choose files and folders that you may write to",
    ),
    "files": (
        OSError(errno.EMFILE, "Too many open files", "photo.png"),
        71,
        "the system has run out (photo.png): Too many open files; "
        "allow more open files and processes (ulimit -n, ulimit -u), or close some",
    ),
    "libraries": (
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        71,
        "out of memory: libtorch_cpu.so: failed to map segment from shared object; "
        "ask for less: --downscale 2, --rays 1024 or a smaller --res",
    ),
    "a_missing_file": (
        FileNotFoundError(errno.ENOENT, "No such file or directory", "a"),
        70,
        "this is a bug, please report it: FileNotFoundError: [Errno 2] No such file or directory: 'a'; "
        "--debug shows the traceback",
    ),
    "interrupt": (KeyboardInterrupt(), 130, "stopped by SIGINT"),
    "bug": (
        KeyError("x"),
        70,
        "this is a bug, please report it: KeyError: 'x'; --debug shows the traceback",
    ),
}


@pytest.mark.parametrize("case", FAILURES)
@pytest.mark.fault(68, 72)
def test_every_failure_is_one_line_and_a_code(
    case: str,
    stand_in: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    error, code, line = FAILURES[case]
    stand_in("commands.fit", "fit_capture", raising(error))
    assert run(["fit", "photos", "--arch", "cpu"]) == code
    assert capsys.readouterr().err == f"tidr: error: {line}\n"


def test_the_traceback_of_a_bug_is_kept_in_the_run(
    stand_in: Callable[..., None], run_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in("commands.mesh", "mesh_run", raising(KeyError("x")))
    assert run(["mesh", "--arch", "cpu"]) == 70
    expected = "tidr: error: this is a bug, please report it: KeyError: 'x'; traceback in runs/skull/crash.txt\n"
    assert capsys.readouterr().err == expected
    kept = (run_path / "crash.txt").read_text()
    assert kept.startswith(f"tidr {__version__}, Python ")
    assert kept.endswith("KeyError: 'x'\n")


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGUSR1, 138)],
    ids=lambda value: str(value),
)
@pytest.mark.fault(67)
def test_a_signal_before_the_fit_catches_it(number: signal.Signals, code: int, tmp_path: Path) -> None:
    with stand_in_process("time.sleep(60)", tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=5)
    assert (process.returncode, err) == (code, f"tidr: error: stopped by {number.name}\n")


@pytest.mark.fault(67)
def test_a_reader_that_goes_away_is_no_noise(tmp_path: Path) -> None:
    with stand_in_process("time.sleep(0.2); [print('x' * 1000) for _ in range(1000)]", tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 141


@pytest.mark.parametrize("closed", ["<&- >&-", ">&-", ">&- 2>&-", "2>&-"])
@pytest.mark.parametrize(("line", "code"), [("--version", 0), ("mesh nowhere", 66)])
def test_closed_streams(closed: str, line: str, code: int, tmp_path: Path) -> None:
    """Nothing that is opened afterwards takes their numbers, and nobody misses what is printed."""
    command = ["bash", "-c", f'"{sys.executable}" -m taichi_idr {line} {closed}']
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == code
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("tidr: error: no such run") == (code == 66 and "2>" not in closed)


def test_closed_streams_are_taken_by_nothing_else(tmp_path: Path) -> None:
    body = "open(1, 'w', closefd=False).write('lost'); open('kept', 'w').write('whole')"
    code = f"from taichi_idr.cli import main; main._fill_standard_streams(); {body}"
    command = ["bash", "-c", '"$0" -c "$1" <&- >&- 2>&-', sys.executable, code]
    assert subprocess.run(command, cwd=tmp_path, timeout=60, check=False).returncode == 0
    assert (tmp_path / "kept").read_text() == "whole"


HOMES = {"none": None, "missing": "/nonexistent/home", "device": "/dev/null", "empty": ""}


@pytest.mark.parametrize("home", HOMES.values(), ids=HOMES)
def test_a_user_without_a_folder(home: str | None, tmp_path: Path) -> None:
    """Taichi aborts without $HOME; containers have users whom nobody knows."""
    code = "import pwd; pwd.getpwuid = lambda _: {}[0]\nfrom taichi_idr import runtime; print(runtime.init('cpu').arch)"
    environment = {key: value for key, value in os.environ.items() if key not in ("HOME", "XDG_CACHE_HOME")}
    environment |= {} if home is None else {"HOME": home}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "cpu\n"), result.stderr


LITTLE = {"address space": "ulimit -v 400000", "address space after torch": "ulimit -v 1500000"}


@pytest.mark.parametrize("limit", LITTLE.values(), ids=LITTLE)
def test_a_machine_with_little_memory(limit: str, tmp_path: Path) -> None:
    """Libraries cannot be loaded, or Taichi gets no memory: no bug."""
    code = "import sys; from taichi_idr.cli.main import run; sys.exit(run(['demo', '--quick', '--arch', 'cpu']))"
    command = ["bash", "-c", f'{limit}; "$0" -c "$1"', sys.executable, code]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 71, result.stderr
    assert result.stderr.splitlines()[-1].startswith("tidr: error: out of memory: ")


@pytest.mark.fault(62)
def test_a_full_standard_output(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "taichi_idr", "--version"]
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert result.returncode == 74
    assert result.stderr == "tidr: error: write failed: No space left on device\n"
