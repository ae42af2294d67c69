"""What a structure's points say of each photo's pixels before anything is cut."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..structure.features import opencv
from ..structure.model import Structure
from ..structure.region import Region
from .cutting import BACKGROUND, LIKELY_BACKGROUND, LIKELY_OBJECT, OBJECT
from .small_photos import SmallPhoto

NEAR = 0.01  # of a photo's longer side: what lies farther from any point of the object is no likelier it than not
BALL_POINTS = 2000


def first_seeds(photo: SmallPhoto, view: int, structure: Structure, region: Region) -> np.ndarray:
    """(h, w) uint8: outside of the region background, and where this photo shows points of the support; object where
    any point of the object lies, seen or not, and likely object between these."""
    cv2 = opencv()
    seeds = np.full(photo.shape, BACKGROUND, np.uint8)
    seeds[within(photo, region)] = LIKELY_BACKGROUND
    of_object = structure.points[region.is_object]
    likely = np.zeros_like(seeds)
    cv2.fillConvexPoly(likely, _outline(photo, of_object), 1)
    seeds[(likely > 0) & (seeds == LIKELY_BACKGROUND)] = LIKELY_OBJECT
    shown = structure.seen_by(view)
    _mark(seeds, photo, structure.points[shown[region.is_support[shown]]], BACKGROUND)
    _mark(seeds, photo, of_object, OBJECT)
    return seeds


def within(photo: SmallPhoto, region: Region) -> np.ndarray:
    """(h, w) bool: where the photo may show something of the region."""
    outline = np.zeros(photo.shape, np.uint8)
    opencv().fillConvexPoly(outline, _outline(photo, _room(region)), 1)
    return outline > 0


def narrowed(seeds: np.ndarray) -> np.ndarray:
    """Likely object only near to points of it: a model of colours is learned from that."""
    far = ndimage.distance_transform_edt(seeds != OBJECT) > NEAR * max(seeds.shape)
    return np.where((seeds == LIKELY_OBJECT) & far, LIKELY_BACKGROUND, seeds).astype(np.uint8)


def _room(region: Region) -> np.ndarray:
    """Points (N, 3) of the ball's surface, those below the support put onto it."""
    turn = np.arange(BALL_POINTS) * (np.pi * (3 - np.sqrt(5)))  # a spiral, evenly
    z = 1 - (2 * np.arange(BALL_POINTS) + 1) / BALL_POINTS
    ring = np.sqrt(1 - z * z)
    ball = region.centre + region.radius * np.stack([ring * np.cos(turn), ring * np.sin(turn), z], axis=1)
    if region.support is None:
        return ball
    below = np.minimum(region.support.height(ball), 0)
    return ball - below[:, None] * region.support.normal


def _outline(photo: SmallPhoto, points: np.ndarray) -> np.ndarray:
    """Corners (N, 1, 2) int32 of the convex hull of what a photo shows of points."""
    cv2 = opencv()
    places, depth = photo.project(points)
    places = places[depth > 0]
    if len(places) == 0:
        return np.zeros((1, 1, 2), np.int32)
    limit = 8 * max(photo.shape)
    return cv2.convexHull(np.rint(places.clip(-limit, limit)).astype(np.int32))


def _mark(seeds: np.ndarray, photo: SmallPhoto, points: np.ndarray, label: int) -> None:
    """The pixels that points (N, 3) fall on; their neighbours may lie beyond the outline already."""
    places, depth = photo.project(points)
    height, width = photo.shape
    inside = (depth > 0) & (places > -0.5).all(axis=1) & (places < (width - 0.5, height - 0.5)).all(axis=1)
    column, row = np.rint(places[inside]).astype(int).T
    seeds[row, column] = label
