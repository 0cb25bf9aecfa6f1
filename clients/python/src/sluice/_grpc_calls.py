"""The calls, streams and errors of both gRPC clients, without I/O."""

from __future__ import annotations

import math
import numbers
import time
from dataclasses import dataclass, field
from typing import Any, AsyncIterable, AsyncIterator, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, TypedDict, Union

import grpc

from ._call import Call, Configured, Document, Settings, microseconds
from ._errors import SluiceError
from ._messages import document, request
from ._tensor import InferResult, check_output, elements, for_binary, from_binary

Metadata = Sequence[Tuple[str, Union[str, bytes]]]

# The HTTP statuses of the same errors. Others are 500.
STATUSES = {
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 412,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.UNAUTHENTICATED: 401,
}
CODES = {code.value[0]: code for code in grpc.StatusCode}
PUSHBACK = "grpc-retry-pushback-ms"


@dataclass(frozen=True, eq=False)
class Request:
    """One request of a stream. The fields are the arguments of infer; sticky_key needs sticky_parameter."""

    model: str
    inputs: Mapping[str, Any]
    version: Optional[int] = None
    outputs: Optional[Sequence[str]] = None
    sticky_key: Optional[str] = None
    priority: Optional[int] = None
    timeout: Optional[float] = None


@dataclass(frozen=True, eq=False)
class Answer:
    """The answer to one request of a stream: its result, or its error."""

    request: Request
    result: Optional[InferResult] = None
    error: Optional[SluiceError] = None


class StreamOptions(TypedDict, total=False):
    """What the requests of a stream have in common. stream describes it."""

    request_id: Optional[str]
    sticky_key: Optional[str]
    override: Optional[int]
    override_token: Optional[str]


class GRPCCalls(Configured):
    """Builds calls from the arguments of a client."""

    def __init__(self, url: str, settings: Settings) -> None:
        super().__init__(settings, undone)
        self.encrypted, self.address = _address(url)

    def infer(
        self,
        model: str,
        inputs: Mapping[str, Any],
        *,
        version: Optional[int] = None,
        outputs: Optional[Sequence[str]] = None,
        request_id: Optional[str] = None,
        sticky_key: Optional[str] = None,
        override: Optional[int] = None,
        override_token: Optional[str] = None,
        priority: Optional[int] = None,
        timeout: Optional[float] = None,
        json: bool = False,
    ) -> Call[InferResult]:
        r = Request(model, inputs, version, outputs, None if self.sticky_header else sticky_key, priority, timeout)
        headers = self.picked_by(request_id, sticky_key if self.sticky_header else None, override, override_token)
        # The gateway answers at its timeout, so the client waits a little longer.
        limit = None if timeout is None else timeout + 1
        return Call("ModelInfer", decode, self.message(r), headers, True, limit)

    def picked_by(
        self,
        request_id: Optional[str] = None,
        sticky_key: Optional[str] = None,
        override: Optional[int] = None,
        override_token: Optional[str] = None,
    ) -> Dict[str, str]:
        """Return the metadata that a version is picked by."""
        headers = self.authorized(override_token)
        if request_id:
            headers["x-request-id"] = request_id
        if sticky_key:
            if not self.sticky_header:
                raise ValueError("the sticky key of a stream needs sticky_header of the client")
            headers[self.sticky_header.lower()] = sticky_key
        if override is not None:
            headers["sluice-override"] = str(override)
        return headers

    def message(self, r: Request) -> Any:
        """Return the message of a request."""
        m = request("ModelInfer", model_name=r.model, model_version=_version(r.version))
        if r.priority is not None:
            m.parameters["priority"].int64_param = r.priority
        if r.timeout is not None:
            m.parameters["timeout"].int64_param = microseconds(r.timeout)
        if r.sticky_key:
            if not self.sticky_parameter:
                raise ValueError("a sticky key needs sticky_header or sticky_parameter of the client")
            m.parameters[self.sticky_parameter].string_param = r.sticky_key
        for name, value in r.inputs.items():
            shape, datatype, data = elements(name, value)
            m.inputs.add(name=name, datatype=datatype, shape=shape)
            m.raw_input_contents.append(for_binary(datatype, data))
        for name in r.outputs or ():
            m.outputs.add(name=name)
        return m

    def model_metadata(self, model: str, version: Optional[int]) -> Call[Document]:
        return self._ask("ModelMetadata", lambda m, _: document(m), name=model, version=_version(version))

    def index(self) -> Call[List[Document]]:
        def read(m: Any, _: Mapping[str, str]) -> List[Document]:
            return [{key: value for key, value in document(row).items() if value} for row in m.models]

        return self._ask("RepositoryIndex", read)

    def statistics(self, model: str, version: Optional[int]) -> Call[List[Document]]:
        return self._ask("ModelStatistics", lambda m, _: document(m)["model_stats"], name=model, version=_version(version))

    def model_config(self, model: str, version: Optional[int]) -> Call[Document]:
        return self._ask("ModelConfig", lambda m, _: document(m.config), name=model, version=_version(version))

    def labels(self, model: str, rows: Iterable[Mapping[str, Any]]) -> Call[Document]:
        m = request("Send", model_name=model)
        for row in rows:
            _add_label(m.labels.add(), **row)

        def read(m: Any, _: Mapping[str, str]) -> Document:
            answer = document(m)
            answer["results"] = [name.lower() for name in answer["results"]]
            if not answer["problems"]:
                del answer["problems"]
            return answer

        return Call("Send", read, m, self.authorized(), True)

    def live(self) -> Call[bool]:
        return Call("ServerLive", lambda m, _: bool(m.live), request("ServerLive"))

    def ready(self) -> Call[bool]:
        return Call("ServerReady", lambda m, _: bool(m.ready), request("ServerReady"))

    def model_ready(self, model: str, version: Optional[int]) -> Call[bool]:
        m = request("ModelReady", name=model, version=_version(version))
        return Call("ModelReady", lambda m, _: bool(m.ready), m, self.authorized())

    def change(self, method: str, model: str) -> Call[None]:
        headers = self.authorized()
        if self.actor:
            headers["sluice-actor"] = self.actor
        return Call(method, lambda m, _: None, request(method, model_name=model), headers)

    def authorized(self, override_token: Optional[str] = None) -> Dict[str, str]:
        token = override_token or self.token
        return {"authorization": f"Bearer {token}"} if token else {}

    def _ask(self, method: str, read: Any, **fields: Any) -> Call[Any]:
        return Call(method, read, request(method, **fields), self.authorized(), True)


@dataclass
class Exchange:
    """A stream: its requests as messages, and the answers to those in progress."""

    calls: GRPCCalls
    error: Optional[BaseException] = None
    """What the caller's requests have raised. No more are sent then."""
    _waiting: Dict[str, Request] = field(default_factory=dict)

    def messages(self, requests: Iterable[Request]) -> Iterator[Any]:
        """Return the messages of requests. grpc calls it in a thread of its own."""
        try:
            for number, r in enumerate(requests, 1):
                yield self._message(number, r)
        except Exception as error:
            self.error = error

    async def amessages(self, requests: Union[Iterable[Request], AsyncIterable[Request]]) -> AsyncIterator[Any]:
        """Return the messages of requests."""
        try:
            number = 0
            if isinstance(requests, AsyncIterable):
                async for r in requests:
                    number += 1
                    yield self._message(number, r)
            else:
                for number, r in enumerate(requests, 1):
                    yield self._message(number, r)
        except Exception as error:
            self.error = error

    def _message(self, number: int, r: Request) -> Any:
        message = self.calls.message(r)
        message.id = str(number)
        self._waiting[message.id] = r
        return message

    def answer(self, message: Any, headers: Mapping[str, str]) -> Answer:
        """Return the answer in a message of the gateway."""
        response = message.infer_response
        r = self._waiting.pop(response.id, None)
        if r is None:
            raise SluiceError(None, f"the answer of {self.calls.address} is not valid: no request has its id {response.id[:40]!r}")
        request_id = headers.get("x-request-id")
        if request_id is not None:
            request_id += "/" + response.id  # as the gateway numbers them
        if message.error_message:
            code = CODES.get(response.parameters["sluice_status"].int64_param if "sluice_status" in response.parameters else 0)
            return Answer(r, error=_error(code, message.error_message, request_id))
        try:
            return Answer(r, decode(response, {"x-request-id": request_id} if request_id else {}))
        except ValueError as error:
            return Answer(r, error=SluiceError(200, f"the answer of {self.calls.address} is not valid: {error}", request_id))


def decode(message: Any, headers: Mapping[str, str]) -> InferResult:
    """Decode an answer. It raises ValueError if the answer is not valid."""
    if len(message.outputs) != len(message.raw_output_contents):
        raise ValueError(f"it has {len(message.outputs)} outputs, but raw contents for {len(message.raw_output_contents)}")
    outputs = {}
    for output, raw in zip(message.outputs, message.raw_output_contents):
        shape = list(output.shape)
        check_output(output.name, output.datatype, shape)
        # Arrays alias it, and can be changed.
        outputs[output.name] = from_binary(output.name, output.datatype, shape, memoryview(bytearray(raw)))
    served = message.parameters
    version = served["sluice_version"].int64_param if "sluice_version" in served else None
    if version is None and message.model_version.isdigit():
        version = int(message.model_version)
    route = served["sluice_route"].string_param if "sluice_route" in served else None
    reason = served["sluice_reason"].string_param if "sluice_reason" in served else None
    return InferResult(outputs, version, route, reason, headers.get("x-request-id"))


def metadata(call_headers: Mapping[str, str]) -> Metadata:
    """Return headers as metadata. It raises ValueError for text that metadata cannot have."""
    for name, value in call_headers.items():
        if not (value.isascii() and value.isprintable()):
            raise ValueError(f"{name}: expected printable ASCII, which is all that the metadata of gRPC can have")
    return tuple(call_headers.items())


def headers_of(received: Optional[Metadata]) -> Dict[str, str]:
    """Return metadata of the gateway."""
    return {key: value for key, value in received or () if isinstance(value, str)}


def result(address: str, call: Call[Any], message: Any, received: Optional[Metadata]) -> Any:
    """Return the decoded answer, or raise its error."""
    headers = headers_of(received)
    try:
        return call.read(message, headers)
    except ValueError as error:
        raise SluiceError(200, f"the answer of {address} is not valid: {error}", headers.get("x-request-id")) from error


def failure(address: str, error: Any, deadline: float = math.inf) -> SluiceError:
    """Return the error of a call that had a deadline. The caller raises it from the given one, a grpc.RpcError that is a call."""
    headers, trailers = headers_of(error.initial_metadata()), headers_of(error.trailing_metadata())
    details = error.details() or error.code().name
    if "eceived message larger than max" in details and not details.startswith("grpc: "):  # which is the gateway's
        return SluiceError(None, f"the answer of {address} is too long: {details}")
    if time.monotonic() >= deadline and error.code() in LOCAL:
        return SluiceError(None, f"no answer from {address} in time")
    if (not headers and not trailers and error.code() in LOCAL) or details == WRITE_FAILED:
        return SluiceError(None, f"no answer from {address}: {details}")
    failed = _error(error.code(), details, headers.get("x-request-id") or trailers.get("x-request-id"))
    asked = trailers.get(PUSHBACK, "")
    if asked.isascii() and asked.isdigit():
        failed.retry_after = int(asked) / 1000
    return failed


# The codes that grpc itself uses if it gets no answer.
LOCAL = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN,
         grpc.StatusCode.INTERNAL)  # fmt: skip

# The text of grpc.aio for a stream that has ended while a request was sent to it, whatever the reason.
WRITE_FAILED = "Internal error from Core"

# The beginnings of the texts with which grpc says that it made no connection, so that no byte of the request was sent.
UNSENT = ("failed to connect to ", "DNS resolution failed", "empty address list")


def undone(error: SluiceError) -> bool:
    """Return whether the gateway has done nothing. It then says when to retry."""
    if error.status is not None:
        return error.retry_after is not None
    details = error.__cause__.details() if isinstance(error.__cause__, grpc.RpcError) else None
    return str(details).startswith(UNSENT)


def _error(code: Optional[grpc.StatusCode], message: str, request_id: Optional[str]) -> SluiceError:
    if code is None or code is grpc.StatusCode.OK:
        return SluiceError(None, message, request_id)
    status = STATUSES.get(code, 500)
    if message.startswith("grpc: received message larger than max"):
        status = 413
    return SluiceError(status, message, request_id, code=code.name)


def _add_label(to: Any, *, request_id: str, label: Any, row: int = 0, time: Any = None) -> None:
    """Fill a label. Its value may be a scalar of numpy."""
    to.request_id, to.row = request_id, row
    if time is not None:
        set_time(to.time, time)
    value = label.item() if callable(getattr(label, "item", None)) else label
    if isinstance(value, bool):
        to.boolean = value
    elif isinstance(value, str):
        to.text = value
    elif isinstance(value, numbers.Real):
        to.number = float(value)
    elif value is not None:  # which the gateway says is missing
        raise TypeError(f"a label cannot have a value of type {type(value).__name__}")


def set_time(to: Any, time: Any) -> None:
    """Set a timestamp to a time, or to one in text as in RFC 3339."""
    if isinstance(time, str):
        to.FromJsonString(time)
        return
    if time.tzinfo is None:
        raise ValueError("the time of a label needs a time zone")
    to.FromDatetime(time)


def _version(version: Optional[int]) -> str:
    return "" if version is None else str(version)


def _address(url: str) -> Tuple[bool, str]:
    """Return whether a URL is encrypted, and its host and port."""
    scheme, separator, address = url.rpartition("://")
    address = address.rstrip("/")
    host, _, port = address.rpartition(":")
    if (separator and scheme not in ("http", "https")) or not port.isdigit() or "/" in address or not host.strip("[]"):
        raise ValueError(f"{url!r} is not valid: expected host:port, or http:// or https:// before it")
    return scheme == "https", address


def channel_options(calls: GRPCCalls, keepalive: Optional[float]) -> List[Tuple[str, Any]]:
    """Return the options of a channel."""
    options: List[Tuple[str, Any]] = [
        ("grpc.max_receive_message_length", min(calls.max_answer_bytes, 2**31 - 1)),
        ("grpc.max_send_message_length", -1),
        ("grpc.service_config_disable_resolution", 1),
        # grpc connects again by itself. A retry must not come before it has tried.
        ("grpc.initial_reconnect_backoff_ms", max(math.ceil(calls.retry.backoff * 250), 1)),
        ("grpc.max_reconnect_backoff_ms", max(math.ceil(calls.retry.max_wait * 1000), 1)),
    ]
    if keepalive is not None:
        options += [("grpc.keepalive_time_ms", max(math.ceil(keepalive * 1000), 1)), ("grpc.keepalive_permit_without_calls", 1)]
    return options


Cert = Union[None, str, Tuple[str, str]]


def credentials(verify: Union[bool, str], cert: Cert) -> grpc.ChannelCredentials:
    """Return the credentials of an encrypted channel."""
    if verify is False:
        raise ValueError("gRPC cannot leave a server unverified: expected verify to be True or a file of root certificates")
    chain, key = (cert, cert) if isinstance(cert, str) else cert or (None, None)
    return grpc.ssl_channel_credentials(_read(None if verify is True else verify), _read(key), _read(chain))


def _read(path: Optional[str]) -> Optional[bytes]:
    if path is None:
        return None
    with open(path, "rb") as file:
        return file.read()
