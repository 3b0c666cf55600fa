"""Published weights: their facts and their licences."""

import pytest
from safetensors.numpy import save_file

from resnext import list_weights
from resnext.errors import WeightsError
from resnext.variants.names import OTHER_NAMES, get_variant
from resnext.weights.published import NON_COMMERCIAL, default_weights, find_weights, published_weights
from resnext.weights.variables import get_weights
from support.command import refusal, resnext
from support.weights import network


@pytest.mark.once
def test_licences_are_said_once(cache, caplog):
    folder = cache / "hub" / "models--timm--resnext14_4x4d.mine"
    folder.rename(cache / "hub" / "models--timm--resnext50_32x4d.fb_ssl_yfcc100m_ft_in1k")
    for _ in range(2):
        with pytest.raises(
            WeightsError, match="these are weights of resnext14_4x4d, but the network is resnext50_32x4d"
        ):
            network("resnext50_32x4d.fb_ssl_yfcc100m_ft_in1k", "resnext50_32x4d")
    words = "the weights resnext50_32x4d.fb_ssl_yfcc100m_ft_in1k are for non-commercial use only (Creative Commons"
    assert caplog.text.count(words) == 1
    ours = cache / "ours.safetensors"
    tag = "resnext50_32x4d.fb_swsl_ig1b_ft_in1k"
    save_file(get_weights(network()), ours, metadata={"format": "resnext", "weights": tag})
    network(ours)
    assert f"the weights {tag} are for non-commercial use only" in caplog.text


@pytest.mark.once
def test_published_facts_are_whole():
    for tag, entry in published_weights().items():
        assert get_variant(entry.variant).name == entry.variant, tag
        assert entry.hub or entry.url
        assert entry.licence in {"apache-2.0", "bsd-3-clause", "unstated", *NON_COMMERCIAL}
        assert [a.preprocessing.size for a in entry.accuracies] == sorted(
            a.preprocessing.size for a in entry.accuracies
        )
        assert all(50 < (a.top1 or 80) < (a.top5 or 95) < 100 for a in entry.accuracies)
    assert list_weights("resnext101_32x32d*") == ["resnext101_32x32d.fb_wsl_ig1b_ft_in1k"]
    assert default_weights("resnext50_32x4d") == "resnext50_32x4d.a1_in1k"
    assert default_weights("wide_resnet101_2") == "wide_resnet101_2.tv2_in1k"
    assert find_weights("wide_resnet50_2-95faca4d.pth").tag == "wide_resnet50_2.tv_in1k"
    tags = [tag for tag in OTHER_NAMES.values() if "." in tag]
    assert len(tags) == 35
    assert set(tags) <= set(published_weights())


@pytest.mark.once
def test_the_commands_show_published_weights():
    table = resnext("list", "--weights", "resnext50*").stdout
    assert "resnext50_32x4d.a1_in1k" in table
    assert "cc-by-nc-4.0" in table
    text = resnext("info", "resnext101_32x8d.fb_wsl_ig1b_ft_in1k").stdout
    for words in ("88,791,336", "NonCommercial", "ig_resnext101_32x8-c38310e5.pth", "top-1 82.72 %", "resize 256"):
        assert words in text
    assert "wide_resnet50_2.racm_in1k " in resnext("list", "--weights", "wide*").stdout
    for name in ("wide_resnet101_2", "resnext101_1x128d"):
        text = resnext("info", name).stdout
        assert "126,886,696" in text
        assert "wide_resnet101_2" in text
    nothing = resnext("list", "--weights", "x*")
    assert refusal(nothing) == "no published weights match 'x*'. `resnext list --weights` shows all of them"
