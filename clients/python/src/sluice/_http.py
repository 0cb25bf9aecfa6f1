"""The common HTTP part of both clients: headers and answers, without I/O."""

from __future__ import annotations

import email.utils
import json
import ssl
import time
from typing import Any, Mapping, Optional, Tuple, TypeVar, Union

import httpx

from ._call import Call
from ._errors import SluiceError

T = TypeVar("T")


Verify = Union[bool, str, ssl.SSLContext]
Cert = Union[None, str, Tuple[str, str]]


def ssl_context(verify: Verify, cert: Cert) -> Union[bool, ssl.SSLContext]:
    """Return the value of verify for httpx. Its own arguments for files differ between its versions."""
    if isinstance(verify, bool) and cert is None:
        return verify
    if isinstance(verify, ssl.SSLContext):
        context = verify
    elif isinstance(verify, str):
        context = ssl.create_default_context(cafile=verify)
    else:
        context = httpx.create_ssl_context(verify=verify)
    if isinstance(cert, str):
        context.load_cert_chain(cert)
    elif cert is not None:
        context.load_cert_chain(*cert)
    return context


# No connection was made, so no byte of the request can have arrived.
UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


def undone(error: SluiceError) -> bool:
    """Return whether the gateway has done nothing."""
    return error.status in (429, 503) or error.status is None and isinstance(error.__cause__, UNSENT)


def sendable(headers: Mapping[str, str]) -> httpx.Headers:
    """Return headers as UTF-8. It raises ValueError for text that a header cannot have."""
    for name, value in headers.items():
        if any(ord(c) < 32 or ord(c) == 127 for c in value):
            raise ValueError(f"{name}: expected text without line breaks and other control characters")
    return httpx.Headers(dict(headers), encoding="utf-8")


def no_answer(call: Call[Any], error: Exception) -> SluiceError:
    """Return the error of a call that got no answer. The caller raises it from the given one."""
    return SluiceError(None, f"no answer from {httpx.URL(call.target).netloc.decode()}: {str(error) or type(error).__name__}")


def too_long(call: Call[Any], status: int, limit: int) -> SluiceError:
    return SluiceError(status, f"the answer of {httpx.URL(call.target).netloc.decode()} is longer than {limit} bytes")


def result(call: Call[T], status: int, headers: httpx.Headers, body: bytearray) -> T:
    """Return the decoded answer, or raise its error."""
    if not 200 <= status <= 299:
        raise SluiceError(status, _message(body), headers.get("X-Request-Id"), _retry_after(headers))
    try:
        return call.read(body, headers)
    except ValueError as error:
        host = httpx.URL(call.target).netloc.decode()
        raise SluiceError(status, f"the answer of {host} is not valid: {error}", headers.get("X-Request-Id")) from error


def read_json(body: bytearray, headers: Mapping[str, str]) -> Any:
    """Return a JSON document."""
    return json.loads(body)


def read_nothing(body: bytearray, headers: Mapping[str, str]) -> bool:
    """Return True, for calls with only a status as the answer."""
    return True


def _message(body: bytearray) -> str:
    try:
        message = json.loads(body)["error"]
    except (KeyError, TypeError, ValueError, RecursionError):
        message = body[:200].decode(errors="replace").strip()
    return str(message) or "no message"


def _retry_after(headers: httpx.Headers) -> Optional[float]:
    text = headers.get("Retry-After", "")
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(email.utils.parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (TypeError, ValueError):
        return None
