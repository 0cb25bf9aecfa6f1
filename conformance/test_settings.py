"""The settings that Triton's clients change at run time, with a key that may."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clients import Client
from expect import refused, same


def values(settings: dict[str, list[str]], *names: str) -> list[list[str]]:
    return [[str(value) for value in settings[name]] for name in names]


def test_log_settings(admin: Client):
    """Settings: of the log, read and changed"""
    before = admin.log_settings()
    assert {"log_info", "log_warning", "log_error", "log_verbose_level", "log_format"} <= set(before), before
    try:
        admin.log_settings({"log_verbose_level": 1, "log_format": "ISO8601", "log_warning": False})
        after = admin.log_settings()
        same((int(after["log_verbose_level"]), after["log_format"], after["log_warning"]), (1, "ISO8601", False))
    finally:
        admin.log_settings({"log_verbose_level": 0, "log_format": "default", "log_warning": True})
    same(admin.log_settings(), before)
    with refused("INVALID_ARGUMENT", "log_format"):
        admin.log_settings({"log_format": "xml"})


def test_log_file(admin: Client, on_purpose: Callable[[str], None]):
    """Settings: the file of the log"""
    with refused("UNIMPLEMENTED", "log file") as refusal:
        admin.log_settings({"log_file": "/tmp/x"})
    on_purpose(refusal.text)


def test_trace_settings(admin: Client):
    """Settings: of traces, read and changed, for all models and for one"""
    before = admin.trace_settings()
    try:
        admin.trace_settings(change={"trace_level": ["TIMESTAMPS"], "trace_rate": "5"})
        same(values(admin.trace_settings(), "trace_level", "trace_rate"), [["TIMESTAMPS"], ["5"]])
        admin.trace_settings("iris", {"trace_rate": "7"})
        same(values(admin.trace_settings("iris"), "trace_level", "trace_rate"), [["TIMESTAMPS"], ["7"]])
        same(values(admin.trace_settings("digits"), "trace_rate"), [["5"]])
    finally:
        admin.trace_settings("iris", {"trace_rate": None})
        admin.trace_settings(change={"trace_level": None, "trace_rate": None})
    same(admin.trace_settings(), before)
    same(admin.trace_settings("iris"), before)
    with refused("NOT_FOUND", "absent"):
        admin.trace_settings("absent")


@pytest.mark.parametrize("setting", [{"trace_file": "/tmp/x"}, {"trace_level": ["TENSORS"]}], ids=["file", "level"])
def test_trace_file(admin: Client, setting: dict, on_purpose: Callable[[str], None]):
    """Settings: the file of traces, and traces of tensors"""
    with refused("UNIMPLEMENTED", "trace") as refusal:
        admin.trace_settings(change=setting)
    on_purpose(refusal.text)
