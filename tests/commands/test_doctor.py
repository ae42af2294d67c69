"""What is installed and what works here."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest

from taichi_idr.commands import doctor
from taichi_idr.machine import PACKAGES
from taichi_idr.runtime import Runtime


def child(code: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_working_backend_works(runtime: Runtime) -> None:
    assert doctor.try_backend(runtime.arch).startswith("works")


def test_findings_name_versions_machine_and_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_start_trial", lambda arch: child(f"print('noise'); print('works: {arch}')"))
    findings = {finding.name: finding.value for finding in doctor.examine()}
    assert findings["taichi"] == "1.7.4"
    assert "GiB free of" in findings["memory"]
    assert findings["cores"].split()[0].isdigit()
    assert [findings[f"backend {arch}"] for arch in doctor.BACKENDS] == ["works: cpu", "works: cuda", "works: vulkan"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("print('torch finds no device'); exit(1)", "not available: torch finds no device"),
        ("import os; os.kill(os.getpid(), 11)", "not available: process ended with -11"),
    ],
    ids=["refused", "crashed"],
)
def test_a_backend_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch, code: str, expected: str) -> None:
    monkeypatch.setattr(doctor, "_start_trial", lambda _: child(code))
    assert str(list(doctor.examine())[-1]) == f"backend vulkan   {expected}"


@pytest.mark.parametrize(("written", "said"), [(True, "Pillow writes AVIF"), (False, "none")])
def test_it_says_whether_films_can_be_written(monkeypatch: pytest.MonkeyPatch, written: bool, said: str) -> None:
    monkeypatch.setattr(doctor, "BACKENDS", ())
    monkeypatch.setattr("PIL.features.check", lambda name: written and name == "avif")
    found = {finding.name: finding.value for finding in doctor.examine()}
    assert found["films (MP4)"].startswith(said)


def test_it_lists_what_the_program_stands_on_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "BACKENDS", ())
    names = {finding.name for finding in doctor.examine()}
    assert set(PACKAGES) <= names and not [name for name in names if name.startswith("imageio")]
    needed = {re.split("[<>=; ]", text)[0] for text in requires("taichi-idr") or ()}
    assert set(PACKAGES) - {"taichi-idr"} <= needed


def test_a_backend_that_hangs_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "TRIAL_TIMEOUT", 0.2)
    monkeypatch.setattr(doctor, "BACKENDS", ("vulkan",))
    monkeypatch.setattr(doctor, "_start_trial", lambda _: child("import time; time.sleep(60)"))
    assert list(doctor.examine())[-1].value == "no answer in 0 s"


@pytest.mark.fault(65)
def test_a_cache_that_cannot_be_written_is_a_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TI_OFFLINE_CACHE_FILE_PATH", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(doctor, "BACKENDS", ())
    cache = next(finding for finding in doctor.examine() if finding.name == "kernel cache")
    assert cache.value.startswith("none, kernels are compiled at each start: ")


@pytest.mark.slow
def test_the_command_ends_well_whatever_is_missing() -> None:
    result = subprocess.run([sys.executable, "-m", "taichi_idr", "doctor"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert "backend cpu      works" in result.stdout


@pytest.mark.parametrize("there", [True, False])
def test_it_says_whether_photos_alone_are_enough(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    monkeypatch.setattr(doctor, "BACKENDS", ())
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: object() if there else None)
    monkeypatch.setattr(doctor, "version", lambda package: None)
    found = {finding.name: finding.value for finding in doctor.examine()}
    for name, extra in (("COLMAP", "photos"), ("OpenCV", "photos"), ("ONNX Runtime", "masks")):
        assert found[name] == "installed" if there else f"pip install 'taichi-idr[{extra}]'" in found[name]
