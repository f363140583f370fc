"""Tests that this machine cannot run at all: the only skips that are not failures."""

import os

import pytest

LIST = os.path.join(os.path.dirname(__file__), "..", "not-possible-here.txt")
PREFIX = "not possible here: "


def reasons():
    """The list as {key: reason}."""
    with open(LIST, encoding="utf-8") as lines:
        rows = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return {key.strip(): reason.strip() for key, reason in (row.split(":", 1) for row in rows)}


def not_possible_here(key):
    """Ends the test, counted as not possible; KEY must stand in not-possible-here.txt."""
    known = reasons()
    if key not in known:
        raise AssertionError(f"{key!r} is not in tests/not-possible-here.txt")
    pytest.skip(f"{PREFIX}{key}: {known[key]}")


def is_allowed_skip(text):
    """Whether a report's skip text is one that not_possible_here() gave."""
    return any(text.endswith(f"{PREFIX}{key}: {reason}") for key, reason in reasons().items())
