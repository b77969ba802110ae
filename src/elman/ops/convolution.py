"""Two-dimensional convolution over the pixels of images."""

from __future__ import annotations

import torch
from torch import Tensor

from elman.ops import functional as ops


def neighbours(image: tuple[int, int], kernel: int, stride: int = 1) -> Tensor:
    """Which pixels each pixel of a convolved image sees, [pixels, kernel * kernel]; beyond the edges -1.

    `image` is height and width; its pixels count row by row. With a stride every so many rows and columns stay.

    >>> neighbours((2, 2), kernel=3)[0].tolist()
    [-1, -1, -1, -1, 0, 1, -1, 2, 3]
    """
    (height, width), reach = image, kernel // 2
    near = torch.arange(kernel, device="cpu") - reach
    rows = torch.arange(0, height, stride, device="cpu")[:, None, None, None] + near[:, None]
    columns = torch.arange(0, width, stride, device="cpu")[:, None, None] + near
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    return torch.where(inside, rows * width + columns, -1).flatten(0, 1).flatten(1)


def convolve(values: Tensor, seen: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Images [images, pixels, channels] and a weight of ``torch.nn.Conv2d`` to [images, rows of `seen`, outputs].

    `seen` is what `neighbours` gives. Each image's bits are its own.

    >>> convolve(torch.randn(2, 4, 3), neighbours((2, 2), 3), torch.randn(5, 3, 3, 3)).shape
    torch.Size([2, 4, 5])
    """
    padded = torch.cat([values, values.new_zeros(len(values), 1, values.shape[2])], dim=1)  # the row that -1 reads
    taps = padded[:, seen.to(values.device)].flatten(0, 1).flatten(1)
    made: Tensor = ops.linear(taps, weight.flatten(2).transpose(1, 2).flatten(1), bias)
    return made.view(len(values), len(seen), len(weight))
