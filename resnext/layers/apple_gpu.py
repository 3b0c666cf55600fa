"""One grouped convolution on an Apple GPU beside the CPU's: some versions of PyTorch compute it wrongly there."""

from __future__ import annotations

import functools
from typing import Any

from resnext.errors import WrongDeviceError

CLOSE = 1e-3  # largest difference, of values of about 1
SHAPE, GROUPS = (2, 8, 8, 16), 4  # images (batch, height, width, channels)


@functools.cache
def check_grouped_convolution(version: str) -> None:
    """Refuse an Apple GPU whose grouped convolution, or its gradients, differ from the CPU's.

    Known cases: https://github.com/pytorch/pytorch/issues/188335 (batches above 1) and 180984 (slices of images whose
    channels come last).

    Args:
        version: that of PyTorch, for the message.

    Raises:
        WrongDeviceError: they differ.
    """
    import torch

    generator = torch.Generator().manual_seed(0)
    channels = SHAPE[-1]
    images = torch.randn(SHAPE, generator=generator)
    kernel = torch.randn((channels, channels // GROUPS, 3, 3), generator=generator) / 6
    differences = [
        float((theirs - ours).abs().max())
        for ours, theirs in zip(compute("cpu", images, kernel), compute("mps", images, kernel), strict=True)
    ]
    if not max(differences) <= CLOSE:  # NaN fails as well
        raise WrongDeviceError(
            f"PyTorch {version} computes grouped convolutions wrongly on this Apple GPU (by {max(differences):.2g}). "
            "Pass --device cpu, or install another version"
        )


def compute(device: str, images: Any, kernel: Any) -> list[Any]:
    """Return a grouped convolution on a device, and the gradients of its images and its kernel, on the CPU."""
    import torch

    given = [each.to(device).requires_grad_() for each in (images, kernel)]
    outputs = torch.nn.functional.conv2d(given[0].permute(0, 3, 1, 2), given[1], padding=1, groups=GROUPS)
    slopes = torch.linspace(-1, 1, outputs.numel()).reshape(outputs.shape).to(device)
    outputs.backward(slopes)
    return [each.detach().cpu() for each in (outputs, *(each.grad for each in given))]
