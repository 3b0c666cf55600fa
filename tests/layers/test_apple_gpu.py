"""An Apple GPU that computes grouped convolutions wrongly is refused when the first network is built: a faked one."""

import keras
import pytest

from resnext import ResNeXt
from resnext.errors import WrongDeviceError
from resnext.layers import apple_gpu, convolution

pytestmark = pytest.mark.skipif(keras.backend.backend() != "torch", reason="Apple GPUs are PyTorch's")

CHANGES = [lambda each: each + 0.01, lambda each: each * float("nan"), lambda each: each.flip(0)]


@pytest.fixture
def mac(monkeypatch):
    """A machine whose GPU computes what the function that is passed makes of the right values."""
    right = apple_gpu.compute

    def fake(change):
        def compute(device, images, kernel):
            values = right("cpu", images, kernel)
            return [change(each) for each in values] if device == "mps" else values

        apple_gpu.check_grouped_convolution.cache_clear()
        monkeypatch.setattr(apple_gpu, "compute", compute)
        monkeypatch.setattr(convolution, "is_apple_gpu", lambda: True)

    yield fake
    apple_gpu.check_grouped_convolution.cache_clear()


@pytest.mark.parametrize("change", CHANGES)
def test_a_wrong_one_is_refused_in_one_line(mac, change):
    mac(change)
    with pytest.raises(WrongDeviceError, match=r"^PyTorch [\d.+\w]+ computes grouped conv"):
        ResNeXt("resnext11_4x4d", classes=3, input_shape=(16, 16, 3))


def test_a_right_one_is_compared_once(mac, monkeypatch):
    asked = []
    mac(lambda each: asked.append(1) or each + 1e-5)
    ResNeXt("resnext11_4x4d", classes=3, input_shape=(16, 16, 3))
    assert len(asked) == 3


def test_networks_without_groups_are_not_compared(mac):
    mac(lambda each: each + 1)
    ResNeXt("resnet8", classes=3, input_shape=(16, 16, 3))
