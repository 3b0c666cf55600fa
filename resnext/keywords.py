"""Options as keywords: a function accepts every field of its option dataclass by name, and the dataclass prints so."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from resnext.errors import ArgumentError, did_you_mean


def as_call(options: Any) -> str:
    """Return a dataclass as the shortest call that makes it: without the fields that have their default.

    >>> from resnext.images.preprocessing import Preprocessing
    >>> as_call(Preprocessing(224, 256))
    'Preprocessing(size=224, resize=256)'
    """
    words = [
        f"{field.name}={value!r}"
        for field in dataclasses.fields(options)
        if (value := getattr(options, field.name)) != field.default
    ]
    return f"{type(options).__name__}({', '.join(words)})"


def with_keywords(verb: str, keywords: Mapping[str, Any], *options: Any) -> tuple[Any, ...]:
    """Return the options with each keyword set as the field of that name.

    Args:
        verb: function that was called, for the message.
        keywords: names and values that were passed to it.
        options: frozen dataclasses that share no field names. A field `name` is not an option.

    Raises:
        ArgumentError: a name that none of them has, or a value that is not allowed.

    >>> from resnext.images.preprocessing import Preprocessing
    >>> with_keywords("f", {"size": 32}, Preprocessing(224, 256))[0].size
    32
    """
    names = [{field.name for field in dataclasses.fields(each) if field.name != "name"} for each in options]
    known = sorted(set().union(*names))
    for word in keywords:
        if word not in known:
            raise ArgumentError(
                f"{verb}() has no option {word!r}.{did_you_mean(word, known)} Its options are {', '.join(known)}."
            )
    return tuple(
        dataclasses.replace(each, **{word: value for word, value in keywords.items() if word in fields})
        for each, fields in zip(options, names, strict=True)
    )
