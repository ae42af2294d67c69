"""Planes tried for pixels: kernel against twin, and a textured plane whose place is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from painted_plane import SIZES, painted_plane, plane_pixels, rough_photos
from torch import Tensor

from taichi_idr import runtime
from taichi_idr.ops import plane_sweep as bridge
from taichi_idr.ops.patch_consistency import ABSENT, UNSEEN, PosedPhotos
from taichi_idr.ops.plane_sweep import Sweep, plane_sweep
from taichi_idr.reference import plane_sweep as reference

DOUBLE = 1e-9  # measured: 4e-13
SINGLE = 2e-3  # of a likeness; measured: 3e-4
FLIPS = 0.02  # share of the pixels whose best plane, or whose patch at an edge, is another within rounding
SETTINGS = {"reach": 2, "best": 1, "least_contrast": 1e-3}
PLANES = 9


def pixels(generator: torch.Generator, count: int = 80) -> tuple[Tensor, Tensor, Tensor]:
    """Photos to compare with, view and pixel, on the current device: some near the edge."""
    device = runtime.current().device
    view = torch.randint(2, (count,), generator=generator)
    size = torch.tensor(SIZES).flip(1)[view]
    pixel = (torch.rand(count, 2, generator=generator) * size).int()
    sources = torch.tensor([[-1, 1, 1], [0, -1, 0]], dtype=torch.int32)
    return sources.to(device), view.int().to(device), pixel.to(device)


def around(generator: torch.Generator, count: int = 80) -> Sweep:
    """Planes near z = 0, some tilted; numbers of planes from none on."""
    current = runtime.current()
    planes = torch.tensor([0.0, 0, 1 / 3]) + 0.05 * torch.randn(count, 3, generator=generator, dtype=torch.float64)
    first = 0.9 + 0.1 * torch.rand(count, generator=generator, dtype=torch.float64)
    step = torch.full((count,), 0.02, dtype=torch.float64)
    number = torch.randint(PLANES + 1, (count,), generator=generator).int()
    parts = [x.to(current.device, current.dtype) for x in (planes, first, step)]
    return Sweep(*parts, number.to(current.device))


@pytest.mark.precision("float64")
@pytest.mark.parametrize("best", [1, 2])
def test_value_equals_twin(best, generator):
    photos, where, sweep = rough_photos(generator), pixels(generator), around(generator)
    settings = {**SETTINGS, "best": best}
    ours, theirs = (f(photos, *where, sweep, **settings) for f in (plane_sweep, reference.plane_sweep))
    assert 30 < int((ours[1] > UNSEEN).sum()) < len(ours[1])
    torch.testing.assert_close(ours[1], theirs[1], atol=DOUBLE, rtol=0)
    torch.testing.assert_close(ours[0], theirs[0], atol=DOUBLE, rtol=0)


def test_value_equals_twin_in_single_precision(generator):
    photos, where, sweep = rough_photos(generator), pixels(generator), around(generator)
    ours, theirs = (f(photos, *where, sweep, **SETTINGS) for f in (plane_sweep, reference.plane_sweep))
    apart = (ours[1].double() - theirs[1].double()).abs()
    assert float(apart[apart < 1].max()) < SINGLE
    assert float((apart > 1).double().mean()) < FLIPS
    assert float(((ours[0] - theirs[0]).abs() > SINGLE).double().mean()) < FLIPS


def test_more_planes_than_a_launch_takes(monkeypatch, generator):
    photos, where, sweep = rough_photos(generator), pixels(generator), around(generator)
    whole = plane_sweep(photos, *where, sweep, **SETTINGS)
    monkeypatch.setattr(bridge, "PLANES_PER_LAUNCH", 7)
    for one, many in zip(whole, plane_sweep(photos, *where, sweep, **SETTINGS), strict=True):
        assert torch.equal(one, many)


def level_sweep(lowest: float, step: float, tilt: float = 0.0) -> tuple[Tensor, Tensor, Tensor, Sweep]:
    """For pixels amid the first view: planes tilted from z = 0, the factor of the true one being 1."""
    current = runtime.current()
    pixel = torch.tensor([[u, v] for u in range(30, 52, 4) for v in range(20, 44, 4)], dtype=torch.int32)
    seen = torch.from_numpy(plane_pixels()[0][pixel[:, 1], pixel[:, 0]])
    points = torch.cat([seen, torch.zeros_like(seen[:, :1])], dim=1)
    centre = painted_plane().cameras[0, 6].cpu().double()
    normal = torch.tensor([tilt, 0.0, 1.0], dtype=torch.float64)
    planes = normal / ((points - centre) @ normal)[:, None]
    ones = torch.ones(len(pixel), dtype=torch.float64)
    parts = [x.to(current.device, current.dtype) for x in (planes, lowest * ones, step * ones)]
    count = torch.full((len(pixel),), PLANES, dtype=torch.int32)
    sources = torch.tensor([[1], [0]], dtype=torch.int32)
    view = torch.zeros(len(pixel), dtype=torch.int32)
    where = [x.to(current.device) for x in (sources, view, pixel)]
    return where[0], where[1], where[2], Sweep(*parts, count.to(current.device))


@pytest.mark.precision("float64")
@pytest.mark.parametrize("lowest", [0.95, 0.945, 0.97])
def test_truth_the_plane_is_found_between_the_planes_tried(lowest):
    """Steps of a hundredth of the depth move the patch by half a pixel; the vertex is a tenth of that off."""
    *where, sweep = level_sweep(lowest, 0.01)
    factor, likeness = plane_sweep(painted_plane(), *where, sweep, **SETTINGS)
    assert float((factor - 1).abs().max()) < 0.003
    assert float((factor - 1).abs().mean()) < 0.001
    assert float(likeness.min()) > 0.97


@pytest.mark.precision("float64")
def test_truth_a_plane_with_the_surfaces_tilt_is_more_alike():
    photos = painted_plane()
    level, tilted = (plane_sweep(photos, *level_sweep(0.96, 0.01, tilt), **SETTINGS)[1] for tilt in (0.0, 0.6))
    assert float((level > tilted).double().mean()) > 0.9


def test_patches_partly_off_the_object_still_tell(generator):
    """A strip of a patch is missing: it counts without; of more than half of it nothing is left."""
    *where, sweep = level_sweep(0.96, 0.01)
    photos, column = painted_plane(), int(where[2][0, 0])
    likeness = {}
    for first in (column + 2, column):
        cut = photos.shades.clone()
        cut[: SIZES[0][0] * SIZES[0][1]].view(SIZES[0])[:, first:] = ABSENT
        own = replace(photos, shades=cut)
        likeness[first] = plane_sweep(own, *where, sweep, **SETTINGS)[1][where[2][:, 0] == column]
    assert float(likeness[column + 2].min()) > 0.9
    assert bool((likeness[column] == UNSEEN).all())


def test_what_tells_nothing_is_unseen(generator):
    """Flat patches, too few photos, planes behind the camera, planes that are no numbers, no planes."""
    photos, (sources, view, pixel), sweep = rough_photos(generator), pixels(generator), around(generator)

    def found(sources: Tensor = sources, photos: PosedPhotos = photos, **changes) -> Tensor:
        settings = {**SETTINGS, **{key: changes.pop(key) for key in tuple(changes) if key in SETTINGS}}
        return plane_sweep(photos, sources, view, pixel, replace(sweep, **changes), **settings)[1]

    nowhere = [
        found(least_contrast=0.9),
        found(best=3),
        found(sources=torch.full_like(sources, -1)),
        found(planes=-sweep.planes),
        found(planes=sweep.planes * torch.nan),
        found(count=torch.zeros_like(sweep.count)),
    ]
    assert [bool((x == UNSEEN).all()) for x in nowhere] == [True] * len(nowhere)


def test_no_pixels_and_wrong_shapes(generator):
    photos, (sources, view, pixel), sweep = rough_photos(generator), pixels(generator), around(generator)
    nothing = plane_sweep(photos, sources, view[:0], pixel[:0], sweep[:0], **SETTINGS)
    assert [x.shape for x in nothing] == [(0,), (0,)]
    with pytest.raises(ValueError, match=r"expected pixel \(80, 2\)"):
        plane_sweep(photos, sources, view, pixel[:7], sweep, **SETTINGS)
    with pytest.raises(ValueError, match=r"expected sources \(2, 3\)"):
        plane_sweep(photos, sources[:1], view, pixel, sweep, **SETTINGS)
