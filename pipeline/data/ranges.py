"""Whether numbers are what they should be: bytes of 0-255 that were spread over them, or finite."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import DataError

# Bytes that end here or below were never spread over 0-255; so dark is no usual data set.
FAINT = 64
# Values of 0-16 times 255, cut to bytes, end here or above: k * 255 is 256 - k, modulo 256.
WRAPPED = 240
CHUNK_PIXELS = 2**22
MUST = "pixel values must be 0-255."
TO_BYTES = "round, then use .astype('uint8')."


def must_be_bytes(values: NDArray[Any]) -> None:
    """Pass over numbers that are uint8.

    Raises:
        DataError: they are of another type; the advice follows their range. Or some are not finite.
    """
    if values.dtype == np.uint8:
        return
    check_finite(values, "images", "image")
    low, high = float(values.min()), float(values.max())
    received = f"dtype {values.dtype}, {low:.10g} to {high:.10g}"
    advice = _advice(values.dtype.kind, low, high)
    raise DataError.of("values must be uint8, 0-255.", received, advice, "images")


def check_range(images: NDArray[np.uint8]) -> None:
    """Pass over the bytes of a whole data set.

    Raises:
        DataError: they are far below 255, or look as if they had wrapped around.
    """
    high = int(images.max())
    # Bytes of zeros and ones are what remains of 0-1 floats, or a mask: scaled again, they would be black.
    if high <= 1:
        advice = "Multiply the images by 255 before they become uint8."
        raise DataError.of(MUST, f"no value above {high}", advice)
    if high <= FAINT:
        advice = f"Divide by {high}, multiply by 255, {TO_BYTES}"
        raise DataError.of(MUST, f"no value above {high}", advice)
    num_wrapped = _count_wrapped(images)
    # Two are a mask, or nearly one.
    if num_wrapped > 2:
        raise DataError.of(
            MUST,
            f"values that look wrapped: only 0 and {num_wrapped} values from {WRAPPED} to 255",
            f"Start from the values before that: divide by their maximum, multiply by 255, {TO_BYTES}",
        )


def check_finite(values: NDArray[Any], name: str, noun: str) -> None:
    """Raise unless all values are numbers.

    Raises:
        DataError: some are not, or are infinite; the first is named.
    """
    strange = ~np.isfinite(values)
    count = int(np.count_nonzero(strange))
    if count:
        place = tuple(int(index) for index in np.unravel_index(int(strange.argmax()), values.shape))
        raise DataError.of(
            "values must be finite.",
            f"{count:,} that are not, the first {float(values[place])} at {place}",
            f"Replace them, or remove their {noun}s.",
            name,
        )


def check_tokens(values: NDArray[Any]) -> None:
    """Raise unless rows (num_rows, length) are tokens, then 0 up to their end.

    Raises:
        DataError: a number is negative, a row has no token, or has one after its padding.
    """
    if values.min() < 0:
        row, place = (int(index) for index in np.unravel_index(int(values.argmin()), values.shape))
        must, advice = "tokens must not be negative: 0 is padding.", "Number the tokens from 1."
        raise DataError.of(must, f"tokens[{row}, {place}] = {values[row, place]}", advice)
    is_padding = values == 0
    empty = np.flatnonzero(is_padding.all(axis=1))
    if empty.size:
        must, advice = "a row must have a token that is not 0.", "Remove the row."
        raise DataError.of(must, f"tokens[{empty[0]}] is padding alone", advice)
    torn = np.flatnonzero((is_padding[:, :-1] & ~is_padding[:, 1:]).any(axis=1))
    if torn.size:
        must, advice = "padding, 0, must stand at the end of a row.", 'Pad with padding="post".'
        raise DataError.of(must, f"tokens[{torn[0]}] has tokens after a 0", advice)


def _advice(kind: str, low: float, high: float) -> str:
    """How values from `low` to `high` become bytes; whoever follows it never leaves 0-255 on the way."""
    if low >= 0 and FAINT / 255 < high <= 1:
        # Times a whole number, integers of eight bits would overflow.
        return f"Multiply by {'255.0' if kind in 'iu' else '255'}, {TO_BYTES}"
    if low >= 0 and high == 16:
        return f"Multiply by 15.9375 (255 / 16), {TO_BYTES}"
    if low >= 0 and FAINT < high <= 255:
        return "Use .astype('uint8')." if kind in "iu" else TO_BYTES.capitalize()
    if low == high:
        return "All of them are the same: save other images."
    steps = "subtract the minimum, divide by (maximum - minimum), multiply by 255"
    return f"Use .astype('float64'), {steps}, {TO_BYTES}"


def _count_wrapped(images: NDArray[np.uint8]) -> int:
    """How many different values there are beside 0 if all of them are such as wrapping leaves, else 0."""
    pixels = images.reshape(-1)
    found: set[int] = set()
    # Nearly every data set is done with after the first piece.
    for start in range(0, pixels.size, CHUNK_PIXELS):
        found.update(np.unique(pixels[start : start + CHUNK_PIXELS]).tolist())
        if any(0 < value < WRAPPED for value in found):
            return 0
    return len(found) - 1 if 0 in found else 0
