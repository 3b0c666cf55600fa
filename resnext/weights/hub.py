"""Find the local file for a user's name of weights, downloading it if necessary."""

import contextlib
import functools
import logging
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

from resnext.errors import ArgumentError, WeightsError, kind_of, missing_package, one_line
from resnext.files import similar, user_path
from resnext.variants.layer_table import variant_shapes
from resnext.variants.names import OTHER_NAMES, get_variant
from resnext.variants.variant import Variant
from resnext.weights.published import NON_COMMERCIAL, PublishedWeights, find_weights, list_weights
from resnext.weights.readers import TORCH_SUFFIXES
from resnext.weights.timm_config import HUB_CONFIG, HUB_FILE, HUB_FILES

logger = logging.getLogger(__name__)

HUB = "hf:"
FOLDER_FILES = ("best.safetensors", *HUB_FILES)  # including those of a run
ELSEWHERE = ("imagenet", "imagenet1k", "imagenet1k_v1", "imagenet1k_v2", "default", "pretrained", "true", "yes", "1")
RUN_FILES = ("held-out.json", "metrics.jsonl")
_NOT_A_REPOSITORY = "hf:{}: not a repository name. Pass hf:OWNER/NAME, such as hf:timm/resnext50_32x4d.a1_in1k."


def find_file(source: str | Path, variant: Variant | None = None) -> tuple[Path, PublishedWeights | None]:
    """Return the file with the weights, and the published facts about them.

    Args:
        source: path of a file; folder: a run, or a local copy of a Hugging Face repository; `hf:OWNER/NAME`, a
            repository on https://huggingface.co with a model.safetensors; or a tag such as `resnext50_32x4d.a1_in1k`,
            which stands for timm's repository of that name.
        variant: network that the weights are for; None if that is not known yet.

    Raises:
        WeightsError: there is no such file or tag; it is not on this machine and can't be downloaded; or it is known
            before the download to belong to another network.
        MissingPackageError: huggingface-hub is needed but not installed.
    """
    check_source(source)
    name = str(source)
    if not name:
        raise WeightsError("the name of the weights is empty. Pass a file, a folder, hf:OWNER/NAME or a tag.")
    path = user_path(source)
    if name.startswith(HUB):
        repository = name.removeprefix(HUB)
        known = find_weights(repository.removeprefix("timm/"))
        known = known if known and known.hub == repository else None
        _check_same_network(known, variant)
        path = _download(repository)
    elif path.is_dir():
        path, known = _file_in(path), None
    elif path.exists():
        known = find_weights(path.name)
    else:
        known = find_weights(name)
        if known is None:
            raise WeightsError(_unknown(name))
        _check_same_network(known, variant)
        if known.hub is None:
            raise WeightsError(f"{name} is on no hub: download {known.url} and pass the path of the file.")
        path = _download(known.hub)
    if known:
        report_licence(known)
    return path, known


def check_source(source: object) -> None:
    """Refuse what is no name or path of weights. Raises ArgumentError."""
    if isinstance(source, str | os.PathLike):
        return
    how = "Pass a file, a folder, hf:OWNER/NAME or a tag"
    if isinstance(source, Mapping):
        how = "Save it by safetensors.torch.save_file(weights, 'own.safetensors'), and pass that file"
    raise ArgumentError(f"weights are read from files. Received: {kind_of(source)}. {how}")


def _file_in(folder: Path) -> Path:
    if any((folder / name).exists() for name in RUN_FILES) and not (folder / HUB_CONFIG).is_file():
        raise WeightsError(
            f"{folder}: a run folder whose {HUB_CONFIG} is missing or no file. Put it back, or pass one of its files "
            "of weights."
        )
    for name in FOLDER_FILES:
        if (folder / name).is_file():
            return folder / name
    raise WeightsError(
        f"{folder}: a folder without {', '.join(FOLDER_FILES[:-1])} or {FOLDER_FILES[-1]}. Pass a file of weights, a "
        "run folder, or a folder that was downloaded from huggingface.co."
    )


def _check_same_network(known: PublishedWeights | None, variant: Variant | None) -> None:
    """Refuse weights of another network before they are downloaded."""
    if known and variant:
        theirs, ours = (variant_shapes(each, 3, None) for each in (get_variant(known.variant), variant))
        if theirs != ours:
            raise other_network(known.tag, known.variant, variant)


def other_network(source: object, theirs: str, variant: Variant) -> WeightsError:
    """Return the error for weights of another network."""
    return WeightsError(
        f"{source}: these are weights of {theirs}, but the network is {variant.name}. Use the variant {theirs}, or "
        "other weights."
    )


def _download(repository: str) -> Path:
    """Return the weights of a repository: from the cache, or downloaded together with the configuration."""
    if repository.count("/") != 1:
        raise WeightsError(_NOT_A_REPOSITORY.format(repository))
    try:
        from huggingface_hub import hf_hub_download, try_to_load_from_cache
        from huggingface_hub.errors import EntryNotFoundError, HFValidationError
    except ImportError as error:
        where = f"https://huggingface.co/{repository}/resolve/main/{HUB_FILE}"
        what = f"downloading {HUB}{repository} (or fetch {where} yourself and pass its path)"
        raise missing_package(what, "huggingface-hub", "hub") from error
    try:
        cached = try_to_load_from_cache(repository, HUB_FILE)
        if isinstance(cached, str):
            return Path(cached)
        _check_reachable()
        with contextlib.suppress(EntryNotFoundError):  # not every repository has one
            hf_hub_download(repository, HUB_CONFIG)
        return Path(hf_hub_download(repository, HUB_FILE))
    except HFValidationError as error:
        raise WeightsError(_NOT_A_REPOSITORY.format(repository)) from error
    except Exception as error:  # no network, no such repository, no access: many error classes, which change
        raise WeightsError(
            f"{HUB}{repository} is not in the local cache and can't be downloaded ({type(error).__name__}: "
            f"{one_line(error, 120)}). Download https://huggingface.co/{repository}/resolve/main/{HUB_FILE} on a "
            f"machine with a network connection, and pass its path; or run `hf download {repository} {HUB_FILE}` there "
            "and copy its cache folder."
        ) from error


def _check_reachable() -> None:
    """Raise OSError at once without a network connection, because huggingface-hub would retry for half a minute."""
    from huggingface_hub import constants

    if not getproxies():
        socket.getaddrinfo(urlsplit(constants.ENDPOINT).hostname, None)


def _unknown(name: str) -> str:
    if "." in name and Path(name).suffix in (".safetensors", *TORCH_SUFFIXES, ".h5", ".hdf5"):
        return f"{name}: no such weights file.{similar(user_path(name))}"
    if name.lower() in ELSEWHERE:
        return (
            f"{name}: a name of weights elsewhere. Pass auto, for published weights that suit the images, or a tag, "
            "such as resnext50_32x4d.a1_in1k."
        )
    if "." in OTHER_NAMES.get(name, ""):
        return f"{name}: a former name. Pass the tag of these weights, {OTHER_NAMES[name]}."
    tags = list_weights(f"{name.split('.')[0]}.*")
    hint = f"those of this network: {', '.join(tags)}" if tags else "`resnext list --weights` shows them"
    return f"{name}: no such weights file, and no published weights of that name; {hint}."


@functools.cache
def report_licence(known: PublishedWeights) -> None:
    """Report a licence that does not allow every use, once for each tag."""
    licence = NON_COMMERCIAL.get(known.licence)
    if licence:
        logger.warning(f"the weights {known.tag} are for non-commercial use only ({licence}).")
