"""OCC-5: vertices come nearer to the level, no face turns round, nothing opens."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from solids import ball

from taichi_idr.meshes.mesh import Mesh, face_vectors
from taichi_idr.meshes.refinement import _shares, refined, unturned

SHARP = 60.0  # of the logit of a ball of radius 1/2
OPTIONS = {"steps": 30, "rate": 1e-4, "normal_weight": 0.01}


def ball_slope(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    radius = points.norm(dim=1, keepdim=True)
    return SHARP * (0.5 - radius[:, 0]), -SHARP * points / radius


def bumpy(generator: torch.Generator) -> Mesh:
    mesh = ball(0.5, subdivisions=4)
    noise = 0.003 * torch.randn(mesh.vertices.shape, generator=generator).double().numpy()
    return Mesh(mesh.vertices + noise, mesh.faces, mesh.normals)


def test_occ_5_vertices_come_nearer_and_faces_look_as_the_field_does(generator):
    """OCC-5: the published rate and steps halve 3 thousandths of the box and turn faces to the field."""
    mesh = bumpy(generator)
    moved = refined(mesh.vertices, mesh.faces, ball_slope, **OPTIONS, generator=generator)

    def off(vertices: np.ndarray) -> float:
        return float(np.abs(np.linalg.norm(vertices, axis=1) - 0.5).mean())

    def looks(vertices: np.ndarray) -> float:
        vectors, middle = face_vectors(vertices, mesh.faces), vertices[mesh.faces].mean(axis=1)
        lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(middle, axis=1)
        return float((np.einsum("fi,fi->f", vectors, middle) / lengths).mean())

    assert off(moved) < 0.5 * off(mesh.vertices)
    assert looks(moved) > looks(mesh.vertices)


def test_occ_5_no_face_turns_round(generator):
    """OCC-5: even with a rate that throws vertices about."""
    mesh = bumpy(generator)
    moved = refined(mesh.vertices, mesh.faces, ball_slope, **{**OPTIONS, "rate": 1e-2}, generator=generator)
    before, after = face_vectors(mesh.vertices, mesh.faces), face_vectors(moved, mesh.faces)
    assert (np.einsum("fi,fi->f", before, after) > 0).all()
    assert (moved != mesh.vertices).any()


def test_what_turns_a_face_is_taken_back_and_nothing_else():
    mesh = ball(subdivisions=2)
    after = 1.01 * mesh.vertices
    after[7] = -after[7]
    kept = unturned(mesh.vertices, after, mesh.faces)
    beside = np.unique(mesh.faces[(mesh.faces == 7).any(axis=1)])
    assert np.array_equal(kept[7], mesh.vertices[7])
    others = np.setdiff1d(np.arange(len(after)), beside)
    assert np.array_equal(kept[others], after[others])


def test_points_of_faces_are_dirichlet(generator):
    """OCC-5: Dirichlet(1/2, 1/2, 1/2) has mean 1/3 and variance (1/3)(2/3) / (3/2 + 1)."""
    shares = _shares(200_000, generator)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(200_000))
    assert shares.min() >= 0
    assert shares.mean(dim=0).tolist() == pytest.approx([1 / 3] * 3, abs=0.005)
    assert shares.var(dim=0).tolist() == pytest.approx([4 / 45] * 3, abs=0.002)


def test_no_steps_move_nothing(generator):
    mesh = bumpy(generator)
    moved = refined(mesh.vertices, mesh.faces, ball_slope, **{**OPTIONS, "steps": 0}, generator=generator)
    np.testing.assert_allclose(moved, mesh.vertices, atol=1e-7)
