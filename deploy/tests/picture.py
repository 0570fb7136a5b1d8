"""A picture in pixels, in the look of Grafana's theme Dark."""

from pathlib import Path

import font_roboto
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.transforms import IdentityTransform
from PIL import Image, PngImagePlugin

WIDTH = 1600
PAGE, PANEL, EDGE, GRID = "#111217", "#181b1f", "#2a2d34", "#2c2f34"
TEXT, FAINT, HEADER = "#d5d5e3", "#9a9ba6", "#6e9fff"
# The classic palette of Grafana.
COLORS = (
    "#73bf69 #f2cc0c #8ab8ff #ff780a #f2495c #5794f2 #b877d9 #fa64b0 #37872d #fade2a #447ebc #c15c17 #890f02 #3274d9 #8f3bb8"
).split()
NAMED = {"green": "#73bf69", "yellow": "#f2cc0c", "orange": "#ff780a", "red": "#f2495c", "blue": "#5794f2"}

REGULAR, MEDIUM = (
    font_manager.FontProperties(fname=Path(font_roboto.__file__).parent / "files" / f"Roboto-{weight}.ttf")
    for weight in ("Regular", "Medium")
)


class Picture:
    """A figure whose coordinates are pixels from the top left."""

    def __init__(self, height):
        self.height = height
        self.figure = Figure(figsize=(WIDTH / 100, height / 100), dpi=100, facecolor=PAGE)
        self.canvas = FigureCanvasAgg(self.figure)

    def text(self, x, y, words, size=13, color=TEXT, font=REGULAR, align="left"):
        """Writes on the base line `y`."""
        font = font.copy()
        font.set_size(size * 0.72)  # pixels to points
        self.figure.text(
            x / WIDTH, 1 - y / self.height, words, color=color, fontproperties=font, ha=align, va="baseline", parse_math=False
        )

    def width(self, words, size=13, font=REGULAR):
        font = font.copy()
        font.set_size(size * 0.72)
        return self.canvas.get_renderer().get_text_width_height_descent(words, font, ismath=False)[0]

    def box(self, x, y, width, height, fill=PANEL, edge=EDGE):
        self.figure.add_artist(
            FancyBboxPatch(
                (x, self.height - y - height),
                width,
                height,
                boxstyle="round,pad=0,rounding_size=3",
                facecolor=fill,
                edgecolor=edge,
                linewidth=0.72,
                transform=IdentityTransform(),
                zorder=-1,
            )
        )

    def bar(self, x, y, width, height, fill):
        self.figure.add_artist(
            Rectangle(
                (x, self.height - y - height), width, height, facecolor=fill, edgecolor="none", transform=IdentityTransform()
            )
        )

    def axes(self, x, y, width, height):
        place = (x / WIDTH, 1 - (y + height) / self.height, width / WIDTH, height / self.height)
        return self.figure.add_axes(place, facecolor="none")

    def shorten(self, words, width, size=13):
        """The words, cut with `…` where they are wider."""
        if self.width(words, size) <= width:
            return words
        while words and self.width(f"{words}…", size) > width:
            words = words[:-1]
        return f"{words}…"

    def save(self, path, about):
        """Saves the picture with a palette, for its size, and what it shows as text chunks."""
        self.canvas.draw()
        image = Image.frombuffer("RGBA", self.canvas.get_width_height(), self.canvas.buffer_rgba()).convert("RGB")
        chunks = PngImagePlugin.PngInfo()
        for name, words in about.items():
            chunks.add_text(name, words)
        image.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True, pnginfo=chunks)
