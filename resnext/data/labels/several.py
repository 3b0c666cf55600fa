"""Several labels in one field of a table: "cat;dog"."""

from __future__ import annotations

from collections.abc import Collection

from resnext.data.folders import composed

ALWAYS = (";", "|")  # no name of a class has them
PERHAPS = (",", " ")
PLURALS = {"labels", "classes", "tags", "findings", "finding_labels", "categories", "targets", "label_ids", "class_ids"}


def separator_of(values: Collection[str], column: str, known: Collection[str] = ()) -> str | None:
    """Return the separator of several labels in the fields of a column, or None if each field is one label.

    A comma or a blank may belong to a name. It separates labels if that makes fewer classes than there are different
    fields and, for a blank, if the column is called labels, tags or the like, or if all of them are numbers.

    Args:
        values: different fields of the column.
        column: name of the column, in lower case with underscores.
        known: classes of a network; if a separator leaves only them, it is that one.

    >>> separator_of({"cat", "cat;dog"}, "label")
    ';'
    >>> separator_of({"red car", "blue car", "red bus", "blue bus", "red van", "blue van"}, "label")
    """
    names = {composed(name) for name in known}
    if names and {*map(composed, values)} <= names:
        return None
    found = [separator for separator in ALWAYS + PERHAPS if any(separator in value for value in values)]
    parts = {separator: {part for value in values for part in parts_of(value, separator)} for separator in found}
    if fits := [separator for separator in found if {*map(composed, parts[separator])} <= names]:
        return fits[0]
    return next((each for each in found if _separates(each, values, parts[each], column)), None)


def parts_of(value: str, separator: str | None) -> list[str]:
    """Return the labels in a field, each once; without a separator, the field itself.

    >>> parts_of("cat; dog", ";"), parts_of("", ";"), parts_of("cat; dog", None)
    (['cat', 'dog'], [], ['cat; dog'])
    """
    if separator is None:
        return [value] if value else []
    return list(dict.fromkeys(part.strip() for part in value.split(separator) if part.strip()))


def _separates(separator: str, values: Collection[str], parts: Collection[str], column: str) -> bool:
    if separator in ALWAYS:
        return True
    fewer = len(parts) < len({*values} - {""})
    return fewer and (separator == "," or column in PLURALS or all(part.isdecimal() for part in parts))
