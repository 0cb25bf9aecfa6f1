"""Clients of the gateway's data plane over gRPC. They need grpcio: pip install 'sluice[grpc]'.

They have the methods, the results and the errors of sluice.Client, so a program changes only its client. Models and
routes are changed with sluice.Client.

>>> client = sluice.grpc.Client("localhost:8001")                         # doctest: +SKIP
>>> client.infer("iris", {"input": array})                                # doctest: +SKIP
>>> for answer in client.stream(Request("iris", {"input": array}) for array in arrays):
...     print(answer.result)                                              # doctest: +SKIP
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Any, AsyncIterable, AsyncIterator, Dict, Iterable, Iterator, List, Mapping, Optional, TypeVar, Union

import grpc
import grpc.aio

from ._call import Call, Document, Settings
from ._grpc_calls import (
    WRITE_FAILED,
    Answer,
    Cert,
    Exchange,
    GRPCCalls,
    Request,
    StreamOptions,
    channel_options,
    credentials,
    failure,
    headers_of,
    metadata,
    result,
)
from ._inference import AsyncInference, Inference
from ._messages import METHODS, reader

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Answer", "AsyncClient", "Client", "Request"]

T = TypeVar("T")


class Client(Inference):
    """Talks to a gateway over gRPC. It is safe for use by several threads.

    :param url: the gRPC port, "localhost:8001"; with https:// before it the connection is encrypted
    :param token: the caller's key
    :param actor: the author of loads and unloads, if no token names one
    :param sticky_header: the metadata from which routes read sticky keys
    :param sticky_parameter: the parameter from which routes read sticky keys, instead of metadata
    :param timeout: max seconds of a call, including retries
    :param retries: max retries after an answer that says when to retry, or if no connection was made
    :param backoff: max seconds of a random wait before the first retry; it doubles with each retry. The time for which
        the answer asks is added
    :param max_wait: max seconds for which an answer may ask; one that asks for more is not retried
    :param max_answer_bytes: max size of an answer
    :param verify: True for the usual root certificates, or a file of root certificates in PEM
    :param cert: the client's certificate, a PEM file with its key, or a pair of files: certificate and key
    :param keepalive: seconds after which a silent connection is asked whether it still works
    :param channel: makes the calls, instead of an internal channel; it is not closed by close
    """

    def __init__(
        self,
        url: str = "localhost:8001",
        *,
        token: Optional[str] = None,
        actor: Optional[str] = None,
        sticky_header: Optional[str] = None,
        sticky_parameter: Optional[str] = None,
        timeout: float = 30.0,
        retries: int = 2,
        backoff: float = 0.1,
        max_wait: float = 10.0,
        max_answer_bytes: int = 1 << 30,
        verify: Union[bool, str] = True,
        cert: Cert = None,
        keepalive: Optional[float] = None,
        channel: Optional[grpc.Channel] = None,
    ) -> None:
        settings = Settings(token, actor, sticky_header, sticky_parameter, timeout, retries, backoff, max_wait, max_answer_bytes)
        self._calls: GRPCCalls = GRPCCalls(url, settings)
        secure = _credentials(self._calls, verify, cert, channel)
        self._own = channel is None
        if channel is None:
            options = channel_options(self._calls, keepalive)
            channel = grpc.secure_channel(self._calls.address, secure, options) if secure else grpc.insecure_channel(self._calls.address, options)
        self._channel = channel
        self._rpcs: Dict[str, Any] = _rpcs(channel)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. Calls in progress end with an error."""
        if self._own:
            self._channel.close()

    def stream(
        self, requests: Iterable[Request], *, timeout: Optional[float] = None, **options: Unpack[StreamOptions]
    ) -> Iterator[Answer]:
        """Send requests over one call, and return their answers as each is ready, in any order.

        The gateway bounds the requests in progress, and reads no more until some are answered. An error of one request
        is in its answer. If the stream itself fails, SluiceError is raised, and answers that have not come are lost. An
        exception of the requests is raised after the answers to those before it. Requests of a stream are not retried.

        :param requests: the requests, read as the gateway takes them, in another thread
        :param timeout: max seconds of the stream; None: any
        :param request_id: the id of the stream; its requests have the ids "id/1", "id/2", …
        :param sticky_key: the key of all requests, if it is read from metadata
        :param override, override_token: as for infer, for all requests
        """
        sent = metadata(self._calls.picked_by(**options))
        exchange, deadline = Exchange(self._calls), time.monotonic() + (math.inf if timeout is None else timeout)
        rpc = self._rpcs["ModelStreamInfer"](exchange.messages(requests), timeout=timeout, metadata=sent)
        try:
            for message in rpc:
                yield exchange.answer(message, headers_of(rpc.initial_metadata()))
        except grpc.RpcError as error:
            raise exchange.error or failure(self._calls.address, error, deadline) from error
        finally:
            rpc.cancel()
        if exchange.error is not None:
            raise exchange.error

    def labels(self, model: str, rows: Iterable[Mapping[str, Any]]) -> Document:
        """Send what was true of earlier predictions. See sluice.Client.labels."""
        return self._send(self._calls.labels(model, rows))

    def load(self, model: str) -> None:
        """Load a model, or its newer files. The gateway allows it only under explicit model control."""
        self._send(self._calls.change("RepositoryModelLoad", model))

    def unload(self, model: str) -> None:
        """Unload a model. The gateway allows it only under explicit model control."""
        self._send(self._calls.change("RepositoryModelUnload", model))

    def _once(self, call: Call[T], timeout: float) -> T:
        sent, deadline = metadata(call.headers), time.monotonic() + timeout
        try:
            message, rpc = self._rpcs[call.target].with_call(call.content, timeout=timeout, metadata=sent)
        except grpc.RpcError as error:
            raise failure(self._calls.address, error, deadline) from error
        return result(self._calls.address, call, message, rpc.initial_metadata())  # type: ignore[no-any-return]


class AsyncClient(AsyncInference):
    """Talks to a gateway over gRPC, with asyncio. Its arguments are those of Client."""

    def __init__(
        self,
        url: str = "localhost:8001",
        *,
        token: Optional[str] = None,
        actor: Optional[str] = None,
        sticky_header: Optional[str] = None,
        sticky_parameter: Optional[str] = None,
        timeout: float = 30.0,
        retries: int = 2,
        backoff: float = 0.1,
        max_wait: float = 10.0,
        max_answer_bytes: int = 1 << 30,
        verify: Union[bool, str] = True,
        cert: Cert = None,
        keepalive: Optional[float] = None,
        channel: Optional[grpc.aio.Channel] = None,
    ) -> None:
        settings = Settings(token, actor, sticky_header, sticky_parameter, timeout, retries, backoff, max_wait, max_answer_bytes)
        self._calls: GRPCCalls = GRPCCalls(url, settings)
        self._secure = _credentials(self._calls, verify, cert, channel)
        self._options = channel_options(self._calls, keepalive)
        self._own = channel is None
        self._channel = channel
        self._made: Dict[str, Any] = {} if channel is None else _rpcs(channel)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connection. Calls in progress end with an error."""
        if self._own and self._channel is not None:
            await self._channel.close()

    async def stream(
        self,
        requests: Union[Iterable[Request], AsyncIterable[Request]],
        *,
        timeout: Optional[float] = None,
        **options: Unpack[StreamOptions],
    ) -> AsyncIterator[Answer]:
        """Send requests over one call, and return their answers as each is ready, in any order. See Client.stream.

        :param requests: the requests, read as the gateway takes them; an async iterable may wait for the next one
        """
        sent = metadata(self._calls.picked_by(**options))
        exchange, deadline = Exchange(self._calls), time.monotonic() + (math.inf if timeout is None else timeout)
        rpc = self._rpcs()["ModelStreamInfer"](exchange.amessages(requests), timeout=timeout, metadata=sent)
        ends = _Ends(rpc)
        try:
            async for message in rpc:
                yield exchange.answer(message, headers_of(await rpc.initial_metadata()))
        except grpc.RpcError as error:
            error = await ends.settled(error)
            raise exchange.error or failure(self._calls.address, error, deadline) from error
        finally:
            rpc.cancel()
        if exchange.error is not None:
            raise exchange.error

    async def labels(self, model: str, rows: Iterable[Mapping[str, Any]]) -> Document:
        """Send what was true of earlier predictions. See sluice.Client.labels."""
        return await self._send(self._calls.labels(model, rows))

    async def load(self, model: str) -> None:
        """Load a model, or its newer files. The gateway allows it only under explicit model control."""
        await self._send(self._calls.change("RepositoryModelLoad", model))

    async def unload(self, model: str) -> None:
        """Unload a model. The gateway allows it only under explicit model control."""
        await self._send(self._calls.change("RepositoryModelUnload", model))

    async def _once(self, call: Call[T], timeout: float) -> T:
        sent, deadline = metadata(call.headers), time.monotonic() + timeout
        rpc = self._rpcs()[call.target](call.content, timeout=timeout, metadata=sent)
        try:
            message = await rpc
        except grpc.RpcError as error:
            raise failure(self._calls.address, error, deadline) from error
        return result(self._calls.address, call, message, await rpc.initial_metadata())  # type: ignore[no-any-return]

    def _rpcs(self) -> Dict[str, Any]:
        """Return the methods by name. The channel belongs to the event loop that is running now."""
        if not self._made:
            address, aio = self._calls.address, grpc.aio
            self._channel = (
                aio.secure_channel(address, self._secure, self._options) if self._secure else aio.insecure_channel(address, self._options)
            )
            self._made = _rpcs(self._channel)
        return self._made


class _Ends:
    """The statuses that a stream of grpc.aio has ended with.

    If a write fails because the gateway has ended the stream, grpc.aio reports an error of its own, before the gateway's status or
    instead of it.
    """

    def __init__(self, rpc: Any) -> None:
        self._seen: List[Any] = []
        rpc.add_done_callback(self._note)

    def _note(self, rpc: Any) -> None:
        async def status() -> Any:
            return grpc.aio.AioRpcError(await rpc.code(), await rpc.initial_metadata(), await rpc.trailing_metadata(), await rpc.details())

        try:
            status().send(None)  # it does not wait, since the call has ended
        except StopIteration as end:
            self._seen.append(end.value)

    async def settled(self, error: Any) -> Any:
        """Return the error with the status of the gateway if there is one, else the given error."""
        for _ in range(20):
            for seen in self._seen:
                if seen.details() != WRITE_FAILED and seen.code() is not grpc.StatusCode.OK:
                    return seen
            if error.details() != WRITE_FAILED:
                break
            await asyncio.sleep(0.005)
        return error


def _credentials(calls: GRPCCalls, verify: Union[bool, str], cert: Cert, channel: Any) -> Optional[grpc.ChannelCredentials]:
    given = verify is not True or cert is not None
    if channel is not None and given:
        raise ValueError("verify and cert are for the client's own connection: expected them or channel, not both")
    if not calls.encrypted and given:
        raise ValueError("verify and cert are for encrypted connections: expected a URL with https://")
    return credentials(verify, cert) if calls.encrypted and channel is None else None


def _rpcs(channel: Any) -> Dict[str, Any]:
    """Return the methods of the services by name."""

    def rpc(name: str) -> Any:
        make = channel.stream_stream if METHODS[name].client_streaming else channel.unary_unary
        return make(f"/{METHODS[name].containing_service.full_name}/{name}", request_serializer=lambda m: m.SerializeToString(), response_deserializer=reader(name))

    return {name: rpc(name) for name in METHODS}
