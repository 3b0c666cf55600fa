"""Layouts of tensors: PyTorch copies no images but to pad them."""

import numpy as np
import pytest

from resnext import ResNeXt
from support.layers import BACKEND


@pytest.mark.skipif(BACKEND != "torch", reason="PyTorch's profiler")
def test_pytorch_copies_no_images_but_to_pad_them():
    from torch.profiler import ProfilerActivity, profile

    batch = 5  # no kernel has it as its first dimension
    network = ResNeXt("resnext26_4x4d", input_shape=(64, 64, 3), classes=3, classifier_activation=None)
    network.compile("sgd", "mse")
    images, targets = np.ones((batch, 64, 64, 3), "float32"), np.ones((batch, 3), "float32")
    network.train_on_batch(images, targets)
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler:
        network.train_on_batch(images, targets)
    copies = set()
    for event in profiler.events():
        shape = event.input_shapes[0] if event.input_shapes else []
        if event.name in ("aten::copy_", "aten::clone") and len(shape) == 4 and shape[0] == batch:
            ancestors, above = [], event.cpu_parent
            while above:
                ancestors.append(above.name)
                above = above.cpu_parent
            if "aten::constant_pad_nd" not in ancestors:
                copies.add((event.name, tuple(shape), *ancestors))
    assert not copies
