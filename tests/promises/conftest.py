"""A run that nothing happened to, and its photos."""

from support.resumed import photos, whole  # noqa: F401 - fixtures
