"""What a call is in both protocols, and when it is retried. Without I/O."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, Dict, Generic, List, Mapping, Optional, Protocol, Sequence, Tuple, TypedDict, TypeVar

from ._errors import SluiceError

if TYPE_CHECKING:
    from ._tensor import InferResult

T = TypeVar("T")

Document = Dict[str, Any]
"""A JSON object from the gateway."""


class PredictOptions(TypedDict, total=False):
    """Options of a request. infer describes them."""

    version: Optional[int]
    outputs: Optional[Sequence[str]]
    request_id: Optional[str]
    sticky_key: Optional[str]
    override: Optional[int]
    override_token: Optional[str]
    priority: Optional[int]
    timeout: Optional[float]


class InferOptions(PredictOptions, total=False):
    json: bool


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request, and the decoder of its answer."""

    target: str
    """A URL, or the name of a method of gRPC."""
    read: Callable[[Any, Mapping[str, str]], T]
    """Returns the decoded answer, from its body or message and its headers, or raises ValueError if it is not valid."""
    content: Any = b""
    """The body or the message."""
    headers: Dict[str, str] = field(default_factory=dict)
    retry: bool = False
    """Whether it may be retried if nothing was done."""
    timeout: Optional[float] = None
    """Max seconds for all attempts; None: the client's."""
    method: str = "GET"
    """HTTP's alone, like params."""
    params: Dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Retry:
    """The rules for retries."""

    count: int
    backoff: float
    max_wait: float
    again: Callable[[SluiceError], bool]
    """Whether the gateway has done nothing, so that a retry can help."""


class Attempts:
    """The attempts of one call."""

    def __init__(self, call: Call[Any], retry: Retry, timeout: float) -> None:
        self._call, self._retry, self._count = call, retry, 0
        self._deadline = time.monotonic() + (timeout if call.timeout is None else call.timeout)

    def left(self) -> float:
        """Return the seconds that are left."""
        return max(self._deadline - time.monotonic(), 0.001)

    def wait(self, error: SluiceError) -> float:
        """Return the seconds to wait before the next attempt. If there is none, raise the error of the last."""
        retry, asked = self._retry, error.retry_after or 0.0
        if not self._call.retry or self._count >= retry.count or asked > retry.max_wait or not retry.again(error):
            raise error
        # A random part of it, so that clients refused at the same time do not retry at the same time.
        wait = asked + random.uniform(0.5, 1) * min(retry.backoff * 2.0**self._count, retry.max_wait)
        if time.monotonic() + wait >= self._deadline:
            raise error
        self._count += 1
        return wait


@dataclass(frozen=True)
class Settings:
    """Arguments of a client that both protocols have. The clients describe them."""

    token: Optional[str]
    actor: Optional[str]
    sticky_header: Optional[str]
    sticky_parameter: Optional[str]
    timeout: float
    retries: int
    backoff: float
    max_wait: float
    max_answer_bytes: int

    def __post_init__(self) -> None:
        if self.sticky_header and self.sticky_parameter:
            raise ValueError("give sticky_header or sticky_parameter, not both")
        if min(self.timeout, self.retries, self.backoff, self.max_wait, self.max_answer_bytes) < 0:
            raise ValueError("timeout, retries, backoff, max_wait and max_answer_bytes must be 0 or more")


class Configured:
    """Builds calls by the settings of a client."""

    def __init__(self, settings: Settings, again: Callable[[SluiceError], bool]) -> None:
        self.token, self.actor = settings.token, settings.actor
        self.sticky_header, self.sticky_parameter = settings.sticky_header, settings.sticky_parameter
        self.timeout = settings.timeout
        self.retry = Retry(settings.retries, settings.backoff, settings.max_wait, again)
        self.max_answer_bytes = settings.max_answer_bytes
        self.metadata: Dict[Tuple[str, Optional[int]], Document] = {}


class Calls(Protocol):
    """Builds the calls of the data plane, in one of the protocols."""

    timeout: float
    retry: Retry
    metadata: Dict[Tuple[str, Optional[int]], Document]
    """Metadata of models for predict. It is read again after a refused request."""

    @property
    def infer(self) -> Callable[..., Call[InferResult]]:
        """Takes a model, its inputs and InferOptions."""

    def model_metadata(self, model: str, version: Optional[int]) -> Call[Document]: ...

    def statistics(self, model: str, version: Optional[int]) -> Call[List[Document]]: ...

    def model_config(self, model: str, version: Optional[int]) -> Call[Document]: ...

    def index(self) -> Call[List[Document]]: ...

    def live(self) -> Call[bool]: ...

    def ready(self) -> Call[bool]: ...

    def model_ready(self, model: str, version: Optional[int]) -> Call[bool]: ...


def microseconds(timeout: float) -> int:
    """Return seconds as the parameter timeout."""
    if timeout <= 0:
        raise ValueError("timeout must be more than 0")
    return max(int(timeout * 1e6), 1)
