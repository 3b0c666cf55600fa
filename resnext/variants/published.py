"""Errors of the published networks, each as reported by its source."""

from typing import NamedTuple


class PublishedError(NamedTuple):
    """A test error in %, as reported by its source."""

    dataset: str
    top1: float
    top5: float | None
    source: str


def _imagenet(top1, top5, source):
    return (PublishedError("ImageNet-1K, 224 pixels", top1, top5, source),)


def _cifar(error10, error100):
    source = "Xie et al. 2017, Table 7 (mean of 10 runs)"
    return (
        PublishedError("CIFAR-10", error10, None, source),
        PublishedError("CIFAR-100", error100, None, source),
    )


_TABLE_3, _TABLE_4 = "Xie et al. 2017, Table 3", "Xie et al. 2017, Table 4"
_WSL = "Mahajan et al. 2018, pre-trained on 940 million tagged photos"
_PADDLE = "PaddleClas model zoo"
_TORCHVISION = "torchvision, IMAGENET1K_V1"
_SE = "Hu et al. 2018, the authors' released model"
_TIMM = "timm's results on ImageNet"


def _cifar10(error10):
    return (PublishedError("CIFAR-10", error10, None, "He et al. 2016, Table 6"),)


# The published networks, and the errors published with each, from its first training.
PUBLISHED: dict[str, tuple[PublishedError, ...]] = {
    "resnet18": _imagenet(30.242, 10.924, _TORCHVISION),
    "resnet34": _imagenet(26.686, 8.58, _TORCHVISION),
    "resnet50": _imagenet(23.9, None, _TABLE_3),
    "resnext50_2x40d": _imagenet(23.0, None, _TABLE_3),
    "resnext50_4x24d": _imagenet(22.6, None, _TABLE_3),
    "resnext50_8x14d": _imagenet(22.3, None, _TABLE_3),
    "resnext50_32x4d": _imagenet(22.2, None, _TABLE_3),
    "resnext50_64x4d": _imagenet(21.6, 5.9, _PADDLE),
    "wide_resnet50_2": _imagenet(21.9, 6.03, "Zagoruyko & Komodakis 2016, Table 8"),
    "resnet101": _imagenet(22.0, 6.0, _TABLE_4),
    "resnext101_2x40d": _imagenet(21.7, None, _TABLE_3),
    "resnext101_4x24d": _imagenet(21.4, None, _TABLE_3),
    "resnext101_8x14d": _imagenet(21.3, None, _TABLE_3),
    "resnext101_32x4d": _imagenet(21.2, 5.6, _TABLE_4),
    "resnext101_1x100d": _imagenet(21.3, 5.7, _TABLE_4),
    "resnext101_2x64d": _imagenet(20.7, 5.5, _TABLE_4),
    "resnext101_64x4d": _imagenet(20.4, 5.3, _TABLE_4),
    "resnext101_32x8d": _imagenet(20.688, 5.474, _TORCHVISION),
    "resnext101_32x16d": _imagenet(15.8, 2.8, _WSL),
    "resnext101_32x32d": _imagenet(14.9, 2.5, _WSL),
    "resnext101_32x48d": _imagenet(14.6, 2.4, _WSL),
    "wide_resnet101_2": _imagenet(21.152, 5.716, _TORCHVISION),
    "resnet152": _imagenet(23.0, 6.7, "He et al. 2016, released model (stride in the 1x1)"),
    "resnext152_32x4d": _imagenet(21.12, 5.67, "mmpretrain model zoo"),
    "resnext152_64x4d": _imagenet(20.5, 5.3, _PADDLE),
    "resnext29_8x64d": _cifar(3.65, 17.77),
    "resnext29_16x64d": _cifar(3.58, 17.31),
    "resnext50d_32x4d": _imagenet(20.328, 5.122, f"{_TIMM}, bt_in1k"),
    "seresnext26d_32x4d": _imagenet(22.408, 6.386, f"{_TIMM}, bt_in1k"),
    "seresnext26t_32x4d": _imagenet(22.02, 6.25, f"{_TIMM}, bt_in1k"),
    "seresnext50_32x4d": _imagenet(20.97, 5.54, _SE),
    "seresnext101_32x4d": _imagenet(19.81, 4.96, _SE),
    "seresnext101_64x4d": _imagenet(19.116, 4.692, f"{_TIMM}, gluon_in1k"),
    "seresnext101_32x8d": _imagenet(16.382, 3.588, f"{_TIMM}, ah_in1k"),
    "seresnext101d_32x8d": _imagenet(16.298, 3.38, f"{_TIMM}, ah_in1k"),
    "seresnextaa101d_32x8d": _imagenet(16.1, 3.352, f"{_TIMM}, ah_in1k"),
    "seresnextaa201d_32x8d": (
        PublishedError("ImageNet-1K, 384 pixels", 12.696, 1.666, f"{_TIMM}, sw_in12k_ft_in1k_384"),
    ),
    "legacy_seresnext26_32x4d": _imagenet(22.9, 6.668, f"{_TIMM}, in1k"),
    "legacy_seresnext50_32x4d": _imagenet(20.92, 5.572, f"{_TIMM}, in1k"),
    "legacy_seresnext101_32x4d": _imagenet(19.726, 4.968, f"{_TIMM}, in1k"),
    "ecaresnext26t_32x4d": (),  # defined by timm, never trained
    "ecaresnext50t_32x4d": (),
    "resnet20": _cifar10(8.75),
    "resnet32": _cifar10(7.51),
    "resnet44": _cifar10(7.17),
    "resnet56": _cifar10(6.97),
    "resnet110": _cifar10(6.43),
    # the networks of `resnext.lineage`, whose authors recorded no accuracy
    "resnext50_wenga": (),
    "resnext29_taki": (),
}
