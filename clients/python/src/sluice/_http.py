"""The common HTTP part of both clients: calls, retries and answers, without I/O."""

from __future__ import annotations

import email.utils
import json
import random
import ssl
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Generic, Mapping, Optional, Tuple, TypeVar, Union

import httpx

from ._errors import SluiceError

T = TypeVar("T")


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request, and the decoder of its answer."""

    method: str
    url: str
    read: Callable[[bytearray, httpx.Headers], T]
    """Returns the decoded answer, or raises ValueError if it is not valid."""
    headers: Dict[str, str] = field(default_factory=dict)
    params: Dict[str, str] = field(default_factory=dict)
    content: bytes = b""
    retry: bool = False
    """Whether it may be retried if nothing was done."""
    timeout: Optional[float] = None
    """Max seconds for all attempts; None: the client's."""


@dataclass(frozen=True)
class Retry:
    """The rules for retries."""

    count: int
    backoff: float
    max_wait: float

    def wait(self, call: Call[Any], attempt: int, error: SluiceError) -> Optional[float]:
        """Return the seconds to wait after an error before the next attempt, or None for no retry.

        attempt counts from 0.
        """
        if not call.retry or attempt >= self.count:
            return None
        sent = not isinstance(error.__cause__, UNSENT)
        if error.status not in (429, 503) and (error.status is not None or sent):
            return None
        asked = error.retry_after or 0.0
        if asked > self.max_wait:
            return None
        # A random part of it, so that clients refused at the same time do not retry at the same time.
        return asked + random.uniform(0.5, 1) * min(self.backoff * 2.0**attempt, self.max_wait)


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


def sendable(headers: Mapping[str, str]) -> httpx.Headers:
    """Return headers as UTF-8. It raises ValueError for text that a header cannot have."""
    for name, value in headers.items():
        if any(ord(c) < 32 or ord(c) == 127 for c in value):
            raise ValueError(f"{name}: expected text without line breaks and other control characters")
    return httpx.Headers(dict(headers), encoding="utf-8")


def no_answer(call: Call[Any], error: Exception) -> SluiceError:
    """Return the error of a call that got no answer. The caller raises it from the given one."""
    return SluiceError(None, f"no answer from {httpx.URL(call.url).netloc.decode()}: {str(error) or type(error).__name__}")


def too_long(call: Call[Any], status: int, limit: int) -> SluiceError:
    return SluiceError(status, f"the answer of {httpx.URL(call.url).netloc.decode()} is longer than {limit} bytes")


def result(call: Call[T], status: int, headers: httpx.Headers, body: bytearray) -> T:
    """Return the decoded answer, or raise its error."""
    if not 200 <= status <= 299:
        raise SluiceError(status, _message(body), headers.get("X-Request-Id"), _retry_after(headers))
    try:
        return call.read(body, headers)
    except ValueError as error:
        host = httpx.URL(call.url).netloc.decode()
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
