"""`tidr view`: a run in the browser."""

from __future__ import annotations

import time
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Diverged, warn
from ..files.writing import create_folder
from ..runs.folder import open_run
from ..viewer.ports import FIRST, free_port

if TYPE_CHECKING:
    from ..runtime import Arch
    from ..viewer.scene import Scene

LOOK_AGAIN = 2.0  # seconds between looks for a newer checkpoint
ROUGH = 64  # samples of a mesh that is made while a fit wants the processor


def view_run(
    run: Path, *, port: int = FIRST, while_fitting: bool = False, open_page: bool = False, arch: Arch = "cpu"
) -> None:
    """Serve a run on 127.0.0.1, at the first free port from `port`, until Ctrl-C.

    while_fitting: each newer checkpoint is shown as it comes, and the first is waited for; a fit is another process and
    notices nothing of it. Raises InputMissing, BadInput; Diverged where there is no surface; Unavailable without viser,
    or where no port is free.
    """
    open_run(run)
    port = free_port(port)
    from ..viewer.server import check_installed

    check_installed()
    from ..viewer.looking import Eye
    from ..viewer.scene import read_scene
    from ..viewer.server import Asked, Viewer

    eye = Eye(run, arch)
    with suppress(KeyboardInterrupt):
        scene = _first_scene(run) if while_fitting else read_scene(run)
        viewer = Viewer(scene, port, Asked(eye.picture, lambda line: print(line, flush=True)))
        print(f"viewer    {viewer.url} (Ctrl-C ends it)", flush=True)
        if open_page:
            webbrowser.open(viewer.url)
        try:
            if scene.mesh is None:  # the page is open meanwhile
                viewer.show(_rough_scene(run, eye) if while_fitting else _whole_scene(run, eye))
            viewer.serve(_Follower(run, eye, viewer) if while_fitting else lambda: None)
        finally:
            viewer.stop()


def write_page(run: Path, folder: Path, *, arch: Arch = "cpu") -> Path:
    """Write a page of a run that needs no program, `folder`/index.html; returns it.

    Raises as `view_run`, and CannotCreate, WriteFailed.
    """
    open_run(run)
    create_folder(folder)
    from ..files.writing import atomic_write
    from ..viewer.looking import Eye
    from ..viewer.page import page_html

    text = page_html(_whole_scene(run, Eye(run, arch)))
    atomic_write(folder / "index.html", text)
    print(f"written   {folder / 'index.html'} ({len(text.encode()) / 1e6:.1f} MB)")
    return folder / "index.html"


def _whole_scene(run: Path, eye) -> Scene:
    from ..viewer.looking import RESOLUTION
    from ..viewer.scene import read_scene

    def make():
        print(f"mesh      none of the newest checkpoint in RUN/mesh: one is made with --res {RESOLUTION}", flush=True)
        return eye.mesh()

    return read_scene(run, make)


def _first_scene(run: Path) -> Scene:
    """Of a fit that may not have saved anything yet."""
    from ..runs.checkpoint import saved_steps
    from ..viewer.scene import read_scene

    folder = open_run(run)
    if not saved_steps(folder.checkpoints):
        print("viewer    waits for the fit's first checkpoint", flush=True)
    while not saved_steps(folder.checkpoints):
        time.sleep(LOOK_AGAIN)
    return read_scene(run)


def _rough_scene(run: Path, eye) -> Scene:
    """As it is now, perhaps without a mesh."""
    from ..viewer.scene import read_scene

    eye.forget()
    try:
        return read_scene(run, lambda: eye.mesh(ROUGH))
    except Diverged:  # no surface yet
        return read_scene(run)


class _Follower:
    """Shows newer checkpoints; what fails is said, and tried again with the next one."""

    def __init__(self, run: Path, eye, viewer) -> None:
        self._run, self._eye, self._viewer = run, eye, viewer
        self._step, self._looked = viewer.scene.step, time.monotonic()

    def __call__(self) -> None:
        from ..runs.checkpoint import saved_steps

        if time.monotonic() - self._looked < LOOK_AGAIN:
            return
        newest = max(saved_steps(open_run(self._run).checkpoints), default=self._step)
        if newest != self._step:
            self._step = newest
            try:
                self._viewer.show(_rough_scene(self._run, self._eye))
            except (
                Exception
            ) as error:  # the fit may be writing, or out of memory: the next checkpoint is another chance
                warn(f"step {newest} is not shown: {error}")
        self._looked = time.monotonic()
