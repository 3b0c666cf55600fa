"""`resnext list` and `resnext info`."""

import pytest

from resnext.variants.names import list_variants
from support.command import refusal, resnext


@pytest.mark.once
def test_list_shows_every_published_network():
    process = resnext("list")
    assert process.returncode == 0
    assert [line.split()[0] for line in process.stdout.splitlines()[1:]] == list_variants()
    assert "25.0 M" in process.stdout
    assert "22.2 % (ImageNet-1K, 224 pixels)" in process.stdout


@pytest.mark.once
def test_list_takes_a_pattern():
    lines = resnext("list", "resnext152*").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list_variants("resnext152*")
    assert refusal(resnext("list", "vgg*")) == "no published network matches 'vgg*'. `resnext list` shows all of them"


@pytest.mark.once
def test_info_is_table_1_of_the_paper():
    out = resnext("info", "resnext50_32x4d").stdout
    for words in ("112x112", "7x7, 64, stride 2", "3x3 max-pool, stride 2; [1x1, 128; 3x3, 128, C=32; 1x1, 256] x 3",
                  "[1x1, 1024; 3x3, 1024, C=32; 1x1, 2048] x 3", "parameters     25,028,904  (25,097,128",
                  "multiply-adds  4,230,479,872", "activations    14,602,216",
                  "published error on ImageNet-1K, 224 pixels: top-1 22.2 %  (Xie et al. 2017, Table 3)"):  # fmt: skip
        assert words in out
    head = next(line for line in out.splitlines() if "1000-d fc, softmax" in line)
    assert head.split()[-2:] == ["2,049,000", "2,048,000"]


@pytest.mark.once
def test_info_of_a_network_that_nobody_published():
    out = resnext("info", "resnext38_4x16d").stdout
    assert "depth 38, cardinality 4, bottleneck width 16" in out
    assert "published" not in out


@pytest.mark.once
def test_wrong_variant_is_one_line():
    assert "Nearest: resnext50_32x4d" in refusal(resnext("info", "resnext50_32x4"))
