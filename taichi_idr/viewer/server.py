"""A scene served to browsers on this machine, by viser, which is an optional part."""

from __future__ import annotations

import contextlib
import io
import logging
import queue
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from ..errors import TidrError, Unavailable, warn
from ..meshes.glb import glb_bytes
from ..meshes.mesh import Mesh
from .origins import foreign_pages_refused
from .picking import CropBox, box_around, distance_option, first_hit, places
from .pictures import small_photo, with_normal_colours
from .ports import HOST
from .scene import Frustum, Scene

BACK = 1.5  # how far from the object the first look is, in distances of the cameras
ASIDE = 0.5  # radians from the first camera to it, about what is upward
FOV = 0.7  # radians, of that look
LINE = 1.5  # pixels
BALL = np.concatenate([np.eye(3), -np.eye(3)])  # ends of what the object lies in, normalised frame
DOT = 0.012  # radius of a picked point, normalised units
WAIT = 0.2  # seconds between looks at what else there is to do
NOW, BEFORE, PICKED, HOVERED = (43, 95, 179), (196, 86, 47), (220, 40, 90), (30, 140, 90)
RENDER = "Render from here"
LOOKS = {"Colours": "/mesh/colours", "Normals": "/mesh/normals", "Shape": "/mesh/shape"}


@dataclass(frozen=True)
class Asked:
    """What a viewer asks of the program around it. picture: (H, W, 3) uint8 of a camera -> normalised frame, its field
    of view in radians and its aspect; say: tells the user one line."""

    picture: Callable[[np.ndarray, np.ndarray, float, float], np.ndarray]
    say: Callable[[str], None]


def check_installed() -> None:
    """Raises Unavailable without viser."""
    try:
        import viser  # noqa: F401
    except ImportError as error:
        raise Unavailable("the viewer needs viser", where="tidr view", todo="pip install 'taichi-idr[view]'") from error


class Viewer:
    """A page at `url` that shows a scene until it is stopped.

    What browsers ask for is done by `serve`, in the thread that calls it: Taichi's kernels want to be called by one.
    """

    def __init__(self, scene: Scene, port: int, asked: Asked) -> None:
        """Raises Unavailable where the port is taken meanwhile, or without viser."""
        check_installed()
        self.scene, self._asked = scene, asked
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._server = _local_server(port)
        self.url = f"http://{HOST}:{self._server.get_port()}"
        self._drawn: list[Any] = []
        self._aimed: int | None = None
        self._picked: list[np.ndarray] = []
        self._box = CropBox(-np.ones(3), np.ones(3))
        try:
            self._panel()
            self._server.scene.set_up_direction(tuple(scene.up))
            self._look_from_front()
            self.show(scene)
        except BaseException:  # Ctrl-C too: its threads would keep the process
            self.stop()
            raise

    def show(self, scene: Scene) -> None:
        """Another scene in place of the one that is shown."""
        with self._server.atomic():
            for handle in self._drawn:
                handle.remove()
            self._drawn = []
            is_new = self.scene is scene or (self.scene.mesh is None and scene.mesh is not None)
            self.scene = scene
            if scene.mesh is not None:
                self._drawn += _draw_mesh(self._server, scene.mesh)
            self._frusta = {id(camera): self._draw_camera("now", camera, NOW) for camera in scene.cameras}
            self._starts = [self._draw_camera("before", camera, BEFORE) for camera in scene.before]
            self._drawn += [*self._frusta.values(), *self._starts]
        self._choose_look()
        self._choose_cameras()
        self._follow_course()
        if is_new:  # else it is the user's
            self._fit_box()
        self._jobs.put(lambda: self._add_photos(scene))

    def serve(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Do what browsers ask for, and `meanwhile` between, until KeyboardInterrupt. What fails is a warning."""
        while True:
            with contextlib.suppress(queue.Empty):
                _attempt(self._jobs.get(timeout=WAIT))
            meanwhile()

    def stop(self) -> None:
        self._server.stop()

    def _panel(self) -> None:
        gui = self._server.gui
        self._title = gui.add_markdown("")
        self._look = gui.add_dropdown("Surface", tuple(LOOKS))
        self._look.on_update(lambda _: self._jobs.put(self._choose_look))
        self._which = gui.add_dropdown("Cameras", ("as fitted", "as given", "both", "none"))
        self._which.on_update(lambda _: self._jobs.put(self._choose_cameras))
        with gui.add_folder("Rendering beside the mesh"):
            self._render_button = gui.add_button(RENDER, hint="By the fitted model: colours and normals")
            self._render_button.on_click(lambda event: self._jobs.put(lambda: self._render(event.client)))
            self._rendering = gui.add_image(np.full((1, 2, 3), 255, np.uint8), label="", visible=False)
            self._photo = gui.add_image(np.full((1, 2, 3), 255, np.uint8), label="", visible=False)
        with gui.add_folder("Course of the fit"):
            self._course = gui.add_slider("Preview", 0, 1, 1, 0, disabled=True)
            self._course.on_update(lambda _: self._jobs.put(self._show_preview))
            self._preview = gui.add_image(np.full((1, 3, 3), 255, np.uint8), label="", visible=False)
        self._crop_panel()
        self._measure_panel()

    def _crop_panel(self) -> None:
        gui = self._server.gui
        with gui.add_folder("Crop box", expand_by_default=False):
            self._cropping = gui.add_checkbox("Show", False)
            self._cropping.on_update(lambda _: self._jobs.put(self._draw_box))
            step, box = 10.0 ** -places(self._size), self._all_around
            self._sides = [
                gui.add_slider(f"{end} {axis}", float(box.low[k]), float(box.high[k]), step, float(side[k]))
                for end, side in (("least", box.low), ("greatest", box.high))
                for k, axis in enumerate("xyz")
            ]
            for slider in self._sides:
                slider.on_update(lambda _: self._jobs.put(self._draw_box))
            self._box_text = gui.add_markdown("")
            gui.add_button("Print in the terminal").on_click(lambda _: self._asked.say(self.box_option))
        self._box_lines: Any = None

    def _measure_panel(self) -> None:
        gui = self._server.gui
        with gui.add_folder("Measure", expand_by_default=False):
            self._measuring = gui.add_checkbox("Click two points on the mesh", False)
            self._known = gui.add_text(
                "Known distance", "100mm", hint="Between the two points: a number and mm, cm, m or in"
            )
            self._known.on_update(lambda _: self._jobs.put(self._say_distance))
            self._distance_text = gui.add_markdown("")
            gui.add_button("Print in the terminal").on_click(lambda _: self._asked.say(self.distance_option))
        self._server.scene.on_click()(lambda event: self._jobs.put(lambda: self._pick(event)))

    def _choose_look(self) -> None:
        for name, node in LOOKS.items():
            for handle in self._drawn:
                if handle.name == node:
                    handle.visible = name == self._look.value

    def _choose_cameras(self) -> None:
        for number, handle in self._frusta.items():
            handle.visible = self._which.value in ("as fitted", "both") and number != self._aimed
        for handle in self._starts:
            handle.visible = self._which.value in ("as given", "both")

    def _draw_camera(self, folder: str, camera: Frustum, colour: tuple[int, int, int]) -> Any:
        handle = self._server.scene.add_camera_frustum(
            f"/cameras_{folder}/{camera.name}",
            camera.fov,
            camera.aspect,
            scale=self.scene.depth(camera) * _volume(camera) ** (1 / 3),
            thickness=LINE,
            thickness_units="screen",
            color=colour,
            wxyz=camera.quaternion,
            position=camera.centre,
        )
        handle.on_click(lambda event: self._jobs.put(lambda: self._go_to(event.client, camera)))
        return handle

    def _add_photos(self, scene: Scene) -> None:
        """One at a time between other jobs: the mesh is there long before the last of them."""
        for camera in scene.cameras:
            if camera.photo is not None:
                self._jobs.put(lambda camera=camera: self._add_photo(camera))

    def _add_photo(self, camera: Frustum) -> None:
        handle = self._frusta.get(id(camera))
        if camera.photo is not None and handle is not None and handle.image is None:
            handle.image = small_photo(camera.photo)

    def _look_from_front(self) -> None:
        start = self._server.initial_camera
        front = self.scene.cameras[0].centre if self.scene.cameras else np.array([0.0, -2.0, 0.0])
        start.position = BACK * Rotation.from_rotvec(ASIDE * self.scene.up).apply(front)
        start.look_at, start.fov = np.zeros(3), FOV

    def _go_to(self, client: Any, camera: Frustum) -> None:
        """Look as the photo was taken, and show it."""
        self._aimed = id(camera)  # its photo would be in the way
        self._choose_cameras()
        forward = camera.corners(1.0)[1:].mean(axis=0) - camera.centre
        upward = camera.corners(1.0)[1] - camera.corners(1.0)[4]
        with client.atomic():
            client.camera.up_direction = upward / np.linalg.norm(upward)
            client.camera.position = camera.centre
            client.camera.look_at = camera.centre + forward * float(np.linalg.norm(camera.centre))
            client.camera.fov = camera.fov
        self._jobs.put(lambda: self._compare(camera))

    @contextlib.contextmanager
    def _busy(self) -> Iterator[None]:
        """The button says that a picture is on its way: the first one waits for kernels."""
        button = self._render_button
        button.label, button.disabled = "Rendering ...", True
        try:
            yield
        finally:
            button.label, button.disabled = RENDER, False

    def _compare(self, camera: Frustum) -> None:
        with self._busy():
            picture = self._asked.picture(camera.quaternion, camera.centre, camera.fov, camera.aspect)
        self._rendering.image, self._rendering.label = picture, f"Rendering and normals: {camera.name}"
        self._rendering.visible = True
        if camera.photo is not None:
            self._photo.image, self._photo.label = small_photo(camera.photo, 480), f"Photo {camera.name}"
            self._photo.visible = True

    def _render(self, client: Any) -> None:
        camera = client.camera
        quaternion, centre = np.array(camera.wxyz, float), np.array(camera.position, float)
        with self._busy():
            picture = self._asked.picture(quaternion, centre, camera.fov, min(camera.aspect, 1.0))
        self._rendering.image = picture
        self._rendering.label, self._rendering.visible = "Rendering and normals from here", True
        self._photo.visible = False

    def _follow_course(self) -> None:
        scene = self.scene
        self._title.content = f"**{scene.name}**, {len(scene.cameras)} photos, step {scene.step:,}"
        last = len(scene.previews) - 1
        if last >= 0:
            self._course.max, self._course.disabled = max(last, 1), last < 1
            self._course.value = last
            self._show_preview()

    def _show_preview(self) -> None:
        previews = self.scene.previews
        if not previews:
            return
        chosen = previews[min(int(self._course.value), len(previews) - 1)]
        with contextlib.suppress(OSError), Image.open(chosen.file) as image:
            self._preview.image = np.asarray(image.convert("RGB"))
            self._preview.label = f"Step {chosen.step:,}, view {chosen.view}: photo, rendering, normals"
            self._preview.visible = True

    @property
    def box_option(self) -> str:
        """Of `tidr mesh`, for the box that is shown."""
        return self._box.option(self._size)

    @property
    def distance_option(self) -> str:
        """Of `tidr mesh`, for the two points that were picked."""
        if len(self._picked) < 2:
            return "no two points have been picked"
        return distance_option(self._picked[0], self._picked[1], self._known.value.strip(), self._size)

    @property
    def _size(self) -> float:
        """Of the object, world units."""
        return float((self._all_around.high - self._all_around.low).max())

    @property
    def _all_around(self) -> CropBox:
        """What the box may be: around the mesh, or before there is one around where it will be."""
        mesh = self.scene.mesh
        return box_around(self.scene.in_world(BALL if mesh is None else mesh.vertices))

    def _fit_box(self) -> None:
        box = self._all_around
        for k, slider in enumerate(self._sides):
            slider.min, slider.max = float(box.low[k % 3]), float(box.high[k % 3])
            slider.value = slider.min if k < 3 else slider.max
        self._draw_box()

    def _draw_box(self) -> None:
        values = np.array([number.value for number in self._sides], float)
        self._box = CropBox(np.minimum(values[:3], values[3:]), np.maximum(values[:3], values[3:]))
        self._box_text.content = f"`tidr mesh {self.box_option}`"
        if self._box_lines is not None:
            self._box_lines.remove()
            self._box_lines = None
        if self._cropping.value:
            edges = self.scene.from_world(self._box.edges().reshape(-1, 3)).reshape(-1, 2, 3)
            self._box_lines = self._server.scene.add_line_segments(
                "/box", edges.astype(np.float32), HOVERED, thickness=2 * LINE, thickness_units="screen"
            )

    def _pick(self, event: Any) -> None:
        mesh = self.scene.mesh
        if mesh is None or not self._measuring.value:
            return
        point = first_hit(mesh, np.array(event.ray_origin), np.array(event.ray_direction))
        if point is None:
            return
        self._picked = [*self._picked[-1:], self.scene.in_world(point[None])[0]] if len(self._picked) < 2 else []
        self._picked = self._picked or [self.scene.in_world(point[None])[0]]
        self._draw_picked()
        self._say_distance()

    def _draw_picked(self) -> None:
        shown = self.scene.from_world(np.array(self._picked))
        for name in ("/picked/0", "/picked/1", "/picked/line"):
            self._server.scene.remove_by_name(name)
        for number, point in enumerate(shown):
            self._server.scene.add_icosphere(f"/picked/{number}", DOT, PICKED, position=point)
        if len(shown) == 2:
            line = shown[None].astype(np.float32)
            self._server.scene.add_line_segments(
                "/picked/line", line, PICKED, thickness=2 * LINE, thickness_units="screen"
            )

    def _say_distance(self) -> None:
        if len(self._picked) == 2:
            length = float(np.linalg.norm(self._picked[0] - self._picked[1]))
            self._distance_text.content = f"{length:.5g} world units\n\n`tidr mesh {self.distance_option}`"
        else:
            self._distance_text.content = "One more point" if self._picked else ""


def _local_server(port: int) -> Any:
    """Of viser; nobody can ask it for an address in the internet, nor from a page of another origin. It says where it
    listens, as we do."""
    import viser

    class LocalServer(viser.ViserServer):
        def request_share_url(self, verbose: bool = True) -> str | None:
            return None

    logging.getLogger("websockets").setLevel(logging.CRITICAL)  # whoever looks which ports are open is no failure
    with contextlib.redirect_stdout(io.StringIO()), ThreadPoolExecutor(1) as pool, foreign_pages_refused():
        making = pool.submit(LocalServer, host=HOST, port=port, label="tidr view", verbose=False)
        try:
            server = making.result()
        except OSError as error:
            todo = "choose another --port"
            raise Unavailable("cannot listen", where=f"{HOST}:{port}", why=str(error), todo=todo) from error
        except BaseException:  # Ctrl-C comes to this thread alone, and leaves none that listens
            making.result().stop()
            raise
    server.gui.configure_theme(show_logo=False, show_share_button=False, control_width="large")
    return server


def _volume(camera: Frustum) -> float:
    """Of a frustum of depth 1 as viser reckons it, which draws all of one scale with the same volume."""
    return float(np.tan(camera.fov / 2)) ** 2 * camera.aspect / 3


def _draw_mesh(server: Any, mesh: Mesh) -> list[Any]:
    """With its colours, its normals as colours, and plain under a light."""
    scene = server.scene
    return [
        scene.add_glb(LOOKS["Colours"], glb_bytes(mesh)),
        scene.add_glb(LOOKS["Normals"], glb_bytes(with_normal_colours(mesh))),
        scene.add_mesh_simple(LOOKS["Shape"], mesh.vertices.astype(np.float32), mesh.faces, color=(190, 190, 185)),
    ]


def _attempt(job: Callable[[], None]) -> None:
    try:
        job()
    except TidrError as error:
        warn(f"{error}")
    except Exception as error:  # of a browser that has gone, or of viser: no reason to end
        warn(f"the viewer goes on after {type(error).__name__}: {error}")
