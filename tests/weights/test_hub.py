"""Weights from Hugging Face's hub and its local cache."""

import numpy as np
import pytest

from resnext.errors import WeightsError
from resnext.weights.variables import get_weights
from support.weights import network


def test_the_hubs_cache_is_used_without_a_network(cache, theirs):
    expected = get_weights(network(theirs))
    for name, value in get_weights(network("hf:timm/resnext14_4x4d.mine")).items():
        np.testing.assert_array_equal(value, expected[name])


@pytest.mark.once
@pytest.mark.parametrize("source", ["hf:timm/resnext50_32x4d.a1_in1k", "resnext50_32x4d.a1_in1k"])
def test_what_is_not_in_the_cache_is_named_with_its_address(cache, source):
    with pytest.raises(WeightsError) as error:
        network(source, "resnext50_32x4d", classes=None)
    words = str(error.value)
    assert words.startswith("hf:timm/resnext50_32x4d.a1_in1k is not in the local cache and can't be downloaded")
    assert "https://huggingface.co/timm/resnext50_32x4d.a1_in1k/resolve/main/model.safetensors" in words


@pytest.mark.once
def test_wrong_sources_are_named(cache):
    for source, words in {
        "hf:nothing/": "not a repository name",
        "hf:a/b/c": "not a repository name",
        "hf:timm": "^hf:timm: not a repository name. Pass hf:OWNER/NAME, such as hf:timm/resnext50_32x4d.a1_in1k.$",
        "none.safetensors": "^none.safetensors: no such weights file.$",
        "resnext50_32x4d.none": "no published weights of that name; those of this network: resnext50_32x4d.a1_in1k, ",
        "wide_resnet50_2": r"those of this network: wide_resnet50_2.tv2_in1k, wide_resnet50_2.tv_in1k, ",
        "ssl_resnext50_32x4d": "^ssl_resnext50_32x4d: a former name. Pass the tag of these weights, "
        "resnext50_32x4d.fb_ssl_yfcc100m_ft_in1k.$",
        "nonsense": "no published weights of that name; `resnext list --weights` shows them.$",
        "resnext101_32x8d.tv_in1k": "these are weights of resnext101_32x8d, but the network is resnext14_4x4d. "
        "Use the variant resnext101_32x8d, or other weights.$",
    }.items():
        with pytest.raises(WeightsError, match=words):
            network(source)
    with pytest.raises(WeightsError, match=r"is on no hub: download https://download.pytorch.org/models/ig_"):
        network("resnext101_32x48d.fb_wsl_ig1b_ft_in1k", "resnext101_32x48d")
    with pytest.raises(
        WeightsError, match=r"a folder without best.safetensors, .* Pass a file of weights, a run folder, or"
    ):
        network(cache)
    with pytest.raises(ValueError, match=r"`classifier_activation` must be one of None, 'softmax'. Received: 'relu'"):
        network("imagenet", classifier_activation="relu")
    with pytest.raises(ValueError, match="weights='imagenet': no weights of resnext14_4x4d are published"):
        network("imagenet")


@pytest.mark.once
def test_the_hub_extra_is_named_where_it_lacks(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"needs the package huggingface-hub: pip install 'resnext\[hub\]'$"):
        network("hf:timm/resnext50_32x4d.a1_in1k", "resnext50_32x4d")
