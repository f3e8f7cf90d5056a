"""Overlap of polygons, batched: by pixels as the VOT toolkits count them, and exact. N pairs; P and Q corners."""

from typing import Optional

import numpy as np

MAX_ROWS = 1 << 16  # pixel rows worked on at once: arrays stay in the cache
NO_NODE = np.iinfo(np.int32).max


def box_corners(box_xyxy: np.ndarray) -> np.ndarray:
    """(N, 4, 2) corners of (N, 4) boxes, from the upper left one to the right."""
    return np.asarray(box_xyxy)[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)


def equal_area_box(corners: np.ndarray) -> np.ndarray:
    """Boxes of quadrilaterals: the hull, shrunk about the mean of the corners to the area of the target, as the VOT toolkit and
    PySOT do (pysot/utils/bbox.py:get_axis_aligned_bbox, without its last pixel).

    Args:
        corners: (N, 4, 2) in order around the target.

    Returns:
        (N, 4) xyxy; an upright rectangle gives itself. NaN where a corner is NaN or the hull has no area.
    """
    hull = corners.max(axis=1) - corners.min(axis=1)
    sides = np.linalg.norm(corners[:, :2] - corners[:, 1:3], axis=2)
    with np.errstate(invalid='ignore', divide='ignore'):
        half = hull / 2 * np.sqrt(sides.prod(axis=1) / hull.prod(axis=1))[:, None]
    center = corners.mean(axis=1)
    return np.concatenate((center - half, center + half), axis=1)


def raster_overlap(first: np.ndarray, second: np.ndarray, bound: Optional[tuple] = None) -> np.ndarray:
    """Intersection over union of pixel masks, equal to VOT's and PySOT's to the last bit.

    Corners are rounded and a mask holds both of its borders, so that two 10x10 boxes 5 pixels apart in x and y overlap by .1748,
    not by .1429 (toolkit/utils/src/region.c:723-960 of PySOT: its flags are not those of legacy rasterisation; float32 as there).

    Args:
        first: (N, P, 2) corners in pixels.
        second: (N, Q, 2).
        bound: Largest x and y; what lies beyond, or below 0, does not count. None: no bound.

    Returns:
        (N,) in [0, 1]; NaN where a corner is NaN or no pixel is within the bound.

    Raises:
        ValueError: If the shapes do not fit.
    """
    _check_shapes(first, second)
    polygons = np.asarray(first, np.float32), np.asarray(second, np.float32)
    is_known = ~(np.isnan(polygons[0]).any(axis=(1, 2)) | np.isnan(polygons[1]).any(axis=(1, 2)))
    overlaps = np.where(is_known, 0.0, np.nan)
    lowest, highest = (-np.inf, np.inf) if bound is None else (0, np.array(bound, np.float32))
    corners = [np.maximum(np.floor(polygon.min(axis=1)), np.float32(lowest)) for polygon in polygons]  # (N, 2)
    opposites = [np.minimum(np.ceil(polygon.max(axis=1)), np.float32(highest)) for polygon in polygons]
    origin = np.minimum(*corners)
    with np.errstate(invalid='ignore', divide='ignore', over='ignore'):
        shape = np.trunc(np.maximum(*opposites) - origin) + 1
        areas = [(opposite - corner).prod(axis=1) for corner, opposite in zip(corners, opposites)]
        common = (np.minimum(*opposites) - np.maximum(*corners)).prod(axis=1)  # positive too where both sides are negative
        ratios = areas[0].astype(float) / areas[1], areas[1].astype(float) / areas[0]
        is_disjoint = (ratios[0] < 1e-10) | (ratios[1] < 1e-10) | (shape < 1).any(axis=1)
        is_disjoint |= common / (areas[0] + areas[1] - common) <= 0
    index = np.flatnonzero(is_known & ~is_disjoint)
    widths, heights = shape[index].astype(np.int32).T
    rounded = [_round(polygon[index] - origin[index, None]) for polygon in polygons]
    for chosen in np.split(np.arange(len(index)), np.flatnonzero(np.diff(np.cumsum(heights) // MAX_ROWS)) + 1):
        if len(chosen):
            overlaps[index[chosen]] = _mask_overlap(rounded[0][chosen], rounded[1][chosen], widths[chosen], heights[chosen])
    return overlaps


def _check_shapes(first: np.ndarray, second: np.ndarray) -> None:
    for name, polygon in (('first', first), ('second', second)):
        if np.ndim(polygon) != 3 or np.shape(polygon)[2] != 2 or np.shape(polygon)[1] < 3 or len(polygon) != len(first):
            raise ValueError(f'polygons are (N, corners, 2) with at least 3 corners and one N, but {name} is {np.shape(polygon)}')


def _round(values: np.ndarray) -> np.ndarray:
    """C's round(): halves away from 0."""
    values = values.astype(np.float64)
    return np.copysign(np.floor(np.abs(values) + 0.5), values)


def _mask_overlap(first: np.ndarray, second: np.ndarray, width: np.ndarray, height: np.ndarray) -> np.ndarray:
    """(N,) overlap of the masks of rounded polygons (N, P, 2) and (N, Q, 2) in images of these sizes."""
    starts = np.cumsum(height) - height
    pair = np.repeat(np.arange(len(height)), height)  # (rows,)
    row = np.arange(len(pair)) - starts[pair]
    spans = [_spans(polygon, pair, row, width[pair]) for polygon in (first, second)]
    common = np.zeros(len(pair), np.int32)
    for begin, end in spans[0]:
        for other_begin, other_end in spans[1]:
            common += np.maximum(np.minimum(end, other_end) - np.maximum(begin, other_begin) + 1, 0)
    sizes = [np.add.reduceat(sum(end - begin + 1 for begin, end in span), starts) for span in spans]
    common = np.add.reduceat(common, starts)
    with np.errstate(invalid='ignore'):
        return common.astype(np.float32) / (sizes[0] + sizes[1] - common).astype(np.float32)


def _spans(polygon: np.ndarray, pair: np.ndarray, row: np.ndarray, width: np.ndarray) -> list:
    """Disjoint spans of pixels (first, last) of polygons in pixel rows; an empty one ends right before it begins.

    Args:
        polygon: (N, P, 2) with whole numbers.
        pair: (rows,) which polygon.
        row: (rows,) which y.
        width: (rows,) of the image.
    """
    x, y = polygon[..., 0], polygon[..., 1]
    rise, run = np.roll(y, 1, axis=1) - y, np.roll(x, 1, axis=1) - x
    slope_base = np.where(rise == 0, 1, rise)
    low, high = np.minimum(y, y + rise), np.where(rise == 0, -np.inf, np.maximum(y, y + rise))  # level edges give no node
    nodes = np.empty((polygon.shape[1], len(row)), np.int32)
    for edge in range(len(nodes)):
        cut = x[:, edge][pair] + (row - y[:, edge][pair]) / slope_base[:, edge][pair] * run[:, edge][pair]
        is_cut = (low[:, edge][pair] <= row) & (row <= high[:, edge][pair])
        nodes[edge] = np.where(is_cut, cut, NO_NODE)  # towards 0
    nodes.sort(axis=0)
    spans, place, last = [], np.zeros(len(row), np.int32), np.full(len(row), -1, np.int32)
    for k in range(len(nodes) - 1):
        left, right = nodes[k], nodes[k + 1]
        is_turn = (place == k) & (left < width) & (right != NO_NODE)
        is_pair = is_turn & (left != right)  # of two equal nodes the first is skipped
        place[is_turn] = k + 1
        place[is_pair] = k + 2
        begin = np.where(is_pair, np.maximum(np.maximum(left, 0), last + 1), 0)
        end = np.where(is_pair, np.minimum(right, width - 1), -1)
        end = np.maximum(end, begin - 1)
        last = np.maximum(last, end)
        spans.append((begin, end))
    return spans


def exact_overlap(first: np.ndarray, second: np.ndarray, bound: Optional[tuple] = None) -> np.ndarray:
    """Intersection over union of convex polygons by clipping (Sutherland and Hodgman 1974).

    Args:
        first: (N, P, 2) corners in pixels, in either direction.
        second: (N, Q, 2).
        bound: Largest x and y; what lies beyond, or below 0, is cut off first. None: no bound.

    Returns:
        (N,) in [0, 1]; 0 where there is no area, NaN where a corner is NaN.

    Raises:
        ValueError: If the shapes do not fit or a polygon is not convex.
    """
    _check_shapes(first, second)
    polygons = [_counterclockwise(np.asarray(polygon, float), name) for polygon, name in ((first, 'first'), (second, 'second'))]
    is_unknown = np.isnan(polygons[0]).any(axis=(1, 2)) | np.isnan(polygons[1]).any(axis=(1, 2))
    origin = polygons[0][:, :1]  # areas are those of small numbers
    if bound is not None:
        image = box_corners(np.array([[0, 0, *bound]], float)).repeat(len(origin), axis=0)
        polygons = [_clip(polygon - origin, image - origin) for polygon in polygons]
    else:
        polygons = [polygon - origin for polygon in polygons]
    areas = _area(polygons[0]), _area(polygons[1])
    common = np.minimum(_area(_clip(*polygons)), np.minimum(*areas))  # a clipper without area cuts nothing off
    union = areas[0] + areas[1] - common
    overlaps = np.divide(common, union, out=np.zeros(len(union)), where=union > 0)
    return np.where(is_unknown, np.nan, np.clip(overlaps, 0, 1))


def _cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]


def _area(polygon: np.ndarray) -> np.ndarray:
    """(N,) signed areas of (N, P, 2), positive from x to y."""
    return _cross(polygon, np.roll(polygon, -1, axis=1)).sum(axis=1) / 2


def _counterclockwise(polygon: np.ndarray, name: str) -> np.ndarray:
    """The polygon from x to y; an error if it is not convex."""
    local = polygon - polygon[:, :1]
    sign = np.where(_area(local) < 0, -1.0, 1.0)
    side = np.roll(local, -1, axis=1) - local
    turn = _cross(side, np.roll(side, -1, axis=1)) * sign[:, None]
    scale = (side**2).sum(axis=2).max(axis=1, initial=0)
    is_bad = (turn < -1e-6 * scale[:, None]).any(axis=1)
    if is_bad.any():
        raise ValueError(f'{name} polygon {int(np.argmax(is_bad))} is not convex: {polygon[np.argmax(is_bad)].tolist()}')
    return np.where(sign[:, None, None] < 0, polygon[:, ::-1], polygon)


def _clip(polygon: np.ndarray, clipper: np.ndarray) -> np.ndarray:
    """What of polygons (N, P, 2) is within convex ones (N, Q, 2) that turn from x to y; the last corner may be repeated."""
    for corner in range(clipper.shape[1]):
        start = clipper[:, corner, None]
        side = clipper[:, (corner + 1) % clipper.shape[1], None] - start
        depth = _cross(side, polygon - start)  # (N, P), positive inside
        following, next_depth = np.roll(polygon, -1, axis=1), np.roll(depth, -1, axis=1)
        is_inside = depth >= 0
        is_crossing = is_inside != (next_depth >= 0)
        share = np.divide(depth, depth - next_depth, out=np.zeros_like(depth), where=is_crossing)
        shape = len(polygon), 2 * polygon.shape[1]
        points = np.stack((polygon, polygon + share[..., None] * (following - polygon)), axis=2).reshape(*shape, 2)
        is_kept = np.stack((is_inside, is_crossing), axis=2).reshape(shape)
        number = is_kept.sum(axis=1)
        order = np.argsort(~is_kept, axis=1, kind='stable')[:, :max(number.max(initial=0), 1)]
        order = np.where(np.arange(order.shape[1]) < number[:, None], order, order[:, :1])  # the rest: the first corner again
        polygon = np.take_along_axis(points, order[..., None], axis=1)
        polygon[number == 0] = 0  # nothing is left
    return polygon
