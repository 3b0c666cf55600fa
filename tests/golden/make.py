"""Write what torchvision and timm compute, for tests/promises/test_parity.py, which needs neither.

python -m venv peers && peers/bin/pip install torch==2.14.1 torchvision==0.29.1 timm==1.0.31
peers/bin/python tests/golden/make.py

Weights and images follow from their names and shapes by a formula, so that only samples of the results are stored: the
logits, 40 values of each stage's last feature map, and of every gradient its largest value and 6 others.
"""

import functools
import json
import math
from pathlib import Path

from formula import array, sample

STAGES = (1, 2, 1, 1)
CLASSES = 10
IMAGES = (2, 3, 64, 96)  # "pictures", and not another name: there no activation lies so near ReLU's corner that float32
# falls on the other side, which moves gradients by up to 0.5 % of the largest


def families():
    """Small networks of every kind, by the name that test_parity.py knows."""
    import timm.models.resnet as timm
    import torchvision.models.resnet as torchvision
    from timm.models.senet import SENet, SEResNeXtBottleneck
    from torch import nn

    tv = functools.partial(torchvision.ResNet, torchvision.Bottleneck, list(STAGES), CLASSES, groups=4)
    bottleneck = functools.partial(timm.ResNet, timm.Bottleneck, STAGES, CLASSES, cardinality=4, base_width=4)
    basic = functools.partial(timm.ResNet, timm.BasicBlock, STAGES, CLASSES)
    deep = {"stem_type": "deep", "stem_width": 32, "avg_down": True}
    tiered = {**deep, "stem_type": "deep_tiered"}
    return {
        "torchvision": tv(width_per_group=4),
        "torchvision_output_stride_8": tv(width_per_group=4, replace_stride_with_dilation=[False, True, True]),
        "torchvision_basic": torchvision.ResNet(torchvision.BasicBlock, list(STAGES), CLASSES),
        "torchvision_wide": torchvision.ResNet(torchvision.Bottleneck, list(STAGES), CLASSES, width_per_group=24),
        "timm": bottleneck(),
        "d": bottleneck(**deep),
        "d_output_stride_8": bottleneck(**deep, output_stride=8),
        "t_eca": bottleneck(**tiered, block_args={"attn_layer": "eca"}),
        "se": bottleneck(block_args={"attn_layer": "se"}),
        "se_aa_d": bottleneck(**deep, aa_layer=nn.AvgPool2d, block_args={"attn_layer": "se"}),
        "aa_output_stride_16": bottleneck(**deep, aa_layer=nn.AvgPool2d, output_stride=16),
        "aa_wide_stem": bottleneck(stem_type="deep", stem_width=64, avg_down=True, aa_layer=nn.AvgPool2d),
        "silu": bottleneck(act_layer=nn.SiLU),
        "basic_d_se": basic(**deep, block_args={"attn_layer": "se"}),
        "legacy_se": SENet(SEResNeXtBottleneck, STAGES, groups=4, reduction=16, num_classes=CLASSES, drop_rate=0),
    }


def main():
    import torch

    golden = {}
    for name, network in families().items():
        with torch.no_grad():
            for key, tensor in network.state_dict().items():
                if tensor.is_floating_point():
                    tensor.copy_(torch.from_numpy(array(key, tuple(tensor.shape))))
        images = torch.from_numpy(array("pictures", IMAGES))
        golden[name] = {"stages": stages(network.eval(), images), **results(network, images)}
    path = Path(__file__).with_name("parity.json")
    lines = (f"{json.dumps(name)}: {json.dumps(results, separators=(',', ':'))}" for name, results in golden.items())
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{path}: {path.stat().st_size:,} bytes")


def stages(network, images):
    """Samples of the feature maps after each stage of residual blocks."""
    kept = []
    hooks = [
        getattr(network, f"layer{i}").register_forward_hook(lambda *call: kept.append(call[2])) for i in (1, 2, 3, 4)
    ]
    network(images)
    for hook in hooks:
        hook.remove()
    return [{"shape": list(maps.shape), "sample": sample(maps.detach().numpy(), 40)} for maps in kept]


def results(network, images):
    """Logits and gradients of the mean squared error, with batch norm at inference; and those gradients in training.

    The latter in float64: batch norm over the 12 values of a channel in stage 5 magnifies what float32 rounds.
    """
    import torch

    targets = torch.from_numpy(array("targets", (IMAGES[0], CLASSES)))
    logits = network(images)
    torch.nn.functional.mse_loss(logits, targets).backward()
    at_inference = gradients(network)
    network.double().train()
    network.zero_grad()
    torch.nn.functional.mse_loss(network(images.double()), targets.double()).backward()
    return {
        "logits": logits.detach().numpy().round(7).tolist(),
        "shapes": {key: list(tensor.shape) for key, tensor in network.state_dict().items()},
        "gradients_at_inference": at_inference,
        "gradients_in_training": gradients(network),
    }


def gradients(network):
    values = {key: parameter.grad.numpy() for key, parameter in network.named_parameters()}
    assert all(math.isfinite(abs(gradient).max()) for gradient in values.values())
    return {
        key: {"largest": float(f"{abs(gradient).max():.6g}"), "sample": sample(gradient, 6)}
        for key, gradient in values.items()
    }


if __name__ == "__main__":
    main()
