"""Where the winner goes wrong: the confusion matrix, and images that it takes for another class."""

from __future__ import annotations

import base64
import io
from html import escape

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
from PIL import Image

from pipeline.report import canvas, wording
from pipeline.report.canvas import Picture
from pipeline.report.findings import Findings

MOST_COUNTED = 15
MOST_NAMED = 30
LARGEST_SIDE = 160
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def confusion(findings: Findings) -> Picture:
    """True class by predicted class on the test split; colour shows mistakes alone."""
    counts = np.array(findings.evidence["winner"]["confusion"], dtype=np.int64)
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    is_right = np.eye(len(counts), dtype=bool)
    step = -(-len(counts) // MOST_NAMED)
    ticks = {
        "tickvals": list(range(0, len(counts), step)),
        "ticktext": [canvas.label(name) for name in findings.classes[::step]],
        "showgrid": False,
    }
    traces = [
        _cells(counts, shares, ~is_right, [[0, "#ffffff"], [1, canvas.PALETTE[1]]]),
        _cells(counts, shares, is_right, [[0, "#e8f1f8"], [1, "#e8f1f8"]]),
    ]
    figure = canvas.draw(
        traces,
        540,
        xaxis=canvas.axis("Predicted class", constrain="domain", **ticks),
        yaxis=canvas.axis(
            "True class",
            autorange="reversed",
            scaleanchor="x",
            constrain="domain",
            constraintoward="top",
            **ticks,
        ),
    )
    least = min(420, 120 + 20 * len(counts))
    seeds = wording.amount(findings.evidence["repeats"], "seed")
    caption = (
        f"Test images by true and predicted class, counted over {seeds}. Off the diagonal, the deeper the "
        f"colour, the larger the share of the true class that is taken for another."
    )
    return Picture("confusion", "Which classes the winner confuses", caption, figure, least, 600)


def misclassified(findings: Findings) -> str:
    """HTML figures of misclassified test images, each with its true and its predicted class."""
    names = findings.classes
    shown = zip(
        findings.misclassified_images,
        findings.misclassified_labels,
        findings.misclassified_predicted,
        strict=True,
    )
    return "\n".join(_figure(image, names[label], names[predicted]) for image, label, predicted in shown)


def _cells(
    counts: npt.NDArray[np.int64],
    shares: npt.NDArray[np.float64],
    mask: npt.NDArray[np.bool_],
    colors: list[list[object]],
) -> go.Heatmap:
    """The masked cells of the matrix, the others left out."""
    texts = np.where(mask & (counts > 0), counts.astype(str), "") if len(counts) <= MOST_COUNTED else None
    return go.Heatmap(
        z=[canvas.short(row) for row in np.where(mask, shares, np.nan)],
        customdata=counts.tolist(),
        text=None if texts is None else texts.tolist(),
        texttemplate=None if texts is None else "%{text}",
        textfont={"color": canvas.INK, "size": 11},
        colorscale=colors,
        zmin=0,
        showscale=False,
        xgap=1,
        ygap=1,
        hoverongaps=False,
        hovertemplate="true %{y}, predicted %{x}: %{customdata} images, %{z:.2f} %<extra></extra>",
    )


def _figure(image: npt.NDArray[np.uint8], label: str, predicted: str) -> str:
    true, taken = (escape(wording.shorten(wording.printable(name))) for name in (label, predicted))
    return (
        f'<figure><img src="data:image/png;base64,{_png(image)}" alt="{true} taken for {taken}">'
        f"<figcaption>{true} &rarr; <b>{taken}</b></figcaption></figure>"
    )


def _png(image: npt.NDArray[np.uint8]) -> str:
    """(height, width, channels), uint8, 0-255 as a PNG in base64; a large one is made small."""
    channels = image.shape[-1]
    pixels = image[..., : channels if channels in MODES else 1]
    picture = Image.fromarray(
        np.ascontiguousarray(pixels.squeeze(axis=-1) if pixels.shape[-1] == 1 else pixels)
    )
    picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()
