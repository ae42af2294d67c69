"""Cameras and points in space as part of a page: a canvas that turns when it is dragged, and its script; no library."""

from __future__ import annotations

import json

import numpy as np

from ..cameras.pinhole import inverse_intrinsics
from ..cameras.rotations import rotation_matrices
from ..types import Cameras

FRUSTUM = 0.35  # depth of a camera's drawing, normalised units
FAR = 1e6  # no corner is drawn farther away: a tiny focal length has them anywhere
MOST_POINTS = 4000

_SCRIPT = """
(function () {
  const scene = %s, canvas = document.getElementById("scene"), ink = canvas.getContext("2d");
  let turn = 0.6, tilt = 0.45, zoom = 1, from = null;
  function place(p) {
    const c = Math.cos(turn), s = Math.sin(turn), x = c * p[0] - s * p[1], y = s * p[0] + c * p[1];
    const u = Math.cos(tilt), v = Math.sin(tilt), deep = u * y - v * p[2], high = v * y + u * p[2];
    const k = zoom * canvas.width / (2.6 * scene.reach) / (1 + deep / (4 * scene.reach));
    return [canvas.width / 2 + k * x, canvas.height / 2 - k * high, deep];
  }
  function draw() {
    ink.clearRect(0, 0, canvas.width, canvas.height);
    ink.fillStyle = "#2b5fb3";
    for (const p of scene.points) {
      const q = place(p); ink.globalAlpha = 0.55 - 0.35 * Math.tanh(q[2]); ink.fillRect(q[0] - 1, q[1] - 1, 2.4, 2.4);
    }
    ink.globalAlpha = 1; ink.font = "11px system-ui, sans-serif";
    for (const camera of scene.cameras) {
      ink.strokeStyle = ink.fillStyle = camera.bad ? "#c4562f" : "#667085";
      ink.lineWidth = camera.bad ? 2 : 1; ink.beginPath();
      const tip = place(camera.tip), rim = camera.rim.map(place);
      rim.forEach(function (r, i) {
        const next = rim[(i + 1) %% 4];
        ink.moveTo(tip[0], tip[1]); ink.lineTo(r[0], r[1]); ink.lineTo(next[0], next[1]);
      });
      ink.stroke();
      if (camera.bad || scene.cameras.length < 40) ink.fillText(camera.name, tip[0] + 4, tip[1] - 4);
    }
  }
  canvas.addEventListener("pointerdown", function (e) {
    from = [e.clientX, e.clientY]; canvas.setPointerCapture(e.pointerId);
  });
  canvas.addEventListener("pointerup", function () { from = null; });
  canvas.addEventListener("pointermove", function (e) {
    if (!from) return;
    turn += (e.clientX - from[0]) / 150; tilt += (e.clientY - from[1]) / 150;
    tilt = Math.max(-1.5, Math.min(1.5, tilt)); from = [e.clientX, e.clientY]; draw();
  });
  canvas.addEventListener("wheel", function (e) { zoom *= Math.exp(-e.deltaY / 800); e.preventDefault(); draw(); });
  draw();
})();
"""


def scene_html(
    cameras: Cameras, shapes: list[tuple[int, int]], names: list[str], bad: set[str], points: np.ndarray, up: np.ndarray
) -> str:
    """A canvas with the frusta of V cameras, those of bad views in another colour, and points (N, 3).

    cameras: in the points' frame. shapes: rows, columns of each photo. up (3,): what is up in the picture.
    """
    turn = _with_z_up(up)
    thinned = points[:: max(1, -(-len(points) // MOST_POINTS))] @ turn.T
    frusta = _frusta(cameras, shapes).clip(-FAR, FAR) @ turn.T
    drawn = [
        {"name": name, "bad": name in bad, "tip": corners[0].round(4).tolist(), "rim": corners[1:].round(4).tolist()}
        for name, corners in zip(names, frusta, strict=True)
    ]
    reach = float(np.quantile(np.linalg.norm(frusta[:, 0], axis=1), 0.9))
    scene = json.dumps({"cameras": drawn, "points": thinned.round(4).tolist(), "reach": reach})
    script = _SCRIPT % scene.replace("<", "\\u003c")
    style = "width: 100%; height: auto; touch-action: none; cursor: grab"
    return f'<canvas id="scene" width="1100" height="620" style="{style}"></canvas><script>{script}</script>'


def _frusta(cameras: Cameras, shapes: list[tuple[int, int]]) -> np.ndarray:
    """Centre and the photo's corners (V, 5, 3)."""
    through = (rotation_matrices(cameras.quaternions) @ inverse_intrinsics(cameras)).numpy()
    centres, found = cameras.centres.numpy(), []
    for view, (rows, columns) in enumerate(shapes):
        rim = np.array([[0, 0, 1], [columns - 1, 0, 1], [columns - 1, rows - 1, 1], [0, rows - 1, 1]], float)
        found.append(np.vstack([centres[view], centres[view] + FRUSTUM * rim @ through[view].T]))
    return np.stack(found)


def _with_z_up(up: np.ndarray) -> np.ndarray:
    """A rotation (3, 3) that takes `up` to z."""
    z = up / np.linalg.norm(up)
    x = np.cross(z, np.eye(3)[np.argmin(abs(z))])
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z])
