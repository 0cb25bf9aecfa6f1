from __future__ import annotations

import asyncio
import time
from typing import Any, List, Mapping, Optional, Sequence, TypeVar

import httpx

from . import _http, _rows
from ._calls import Calls, Document, Weight, with_weights
from ._errors import SluiceError
from ._tensor import InferResult

T = TypeVar("T")


class AsyncClient:
    """Talks to a gateway, with asyncio.

    :param url: the data port, "localhost:8000" or a URL
    :param admin_url: the admin port, for models and routes
    :param token: sent to the admin port
    :param actor: the author of changes, if no token names one
    :param sticky_header: the header from which routes read sticky keys
    :param sticky_parameter: the parameter from which routes read sticky keys, instead of a header
    :param timeout: max seconds of a call, including retries
    :param retries: max retries of a request to the data port after 429 or 503, or if no connection
        was made
    :param backoff: max seconds of a random wait before the first retry; it doubles with each retry. The
        answer's Retry-After is added
    :param max_wait: max seconds of Retry-After; an answer with a longer one is not retried
    :param max_answer_bytes: max size of an answer's body
    :param verify: how https servers are verified: True with the usual root certificates, a file of root
        certificates in PEM, an ssl.SSLContext, or False for not at all
    :param cert: the client's certificate, a PEM file with its key, or a pair of files: certificate and key
    :param http: makes the requests, instead of an internal client; it is not closed by aclose
    """

    def __init__(
        self,
        url: str = "localhost:8000",
        admin_url: Optional[str] = None,
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
        verify: _http.Verify = True,
        cert: _http.Cert = None,
        http: Optional[httpx.AsyncClient] = None,
    ) -> None:
        if http is not None and (verify is not True or cert is not None):
            raise ValueError("verify and cert are for the client's own connections: expected them or http, not both")
        self._calls = Calls(
            url, admin_url, token, actor, sticky_header, sticky_parameter, timeout, retries, backoff, max_wait, max_answer_bytes
        )
        self._own = http is None
        self._http = http or httpx.AsyncClient(verify=_http.ssl_context(verify, cert))

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        if self._own:
            await self._http.aclose()

    async def predict(
        self,
        model: str,
        rows: Any,
        *,
        version: Optional[int] = None,
        outputs: Optional[Sequence[str]] = None,
        request_id: Optional[str] = None,
        sticky_key: Optional[str] = None,
        override: Optional[int] = None,
        override_token: Optional[str] = None,
        priority: Optional[int] = None,
        timeout: Optional[float] = None,
    ) -> Any:
        """Send the rows of a table to a model and return its answers as a table.

        The rows are a DataFrame, a dict of columns, a list of records, or an array. Each input of the model
        gets the column with its name. If a model has one input and no column has its name, the input gets
        all columns in their order.

        The answer is a DataFrame with the index of the given one. Without pandas it is a list of records if
        the rows are one, otherwise a dict of columns. An output with several values for each row becomes
        the columns "name_0", "name_1" and so on.

        The other arguments are those of infer. infer also returns the version that answered.
        """
        key = (model, version)
        known = self._calls.metadata.get(key)
        while True:
            metadata = known or await self.model_metadata(model, version)
            try:
                answer = await self.infer(
                    model,
                    _rows.to_inputs(rows, metadata),
                    version=version,
                    outputs=outputs,
                    request_id=request_id,
                    sticky_key=sticky_key,
                    override=override,
                    override_token=override_token,
                    priority=priority,
                    timeout=timeout,
                )
            except (SluiceError, ValueError) as error:
                if known is None or getattr(error, "status", 400) != 400:
                    raise
                known = None  # the model may have changed
                continue
            self._calls.metadata[key] = metadata
            return _rows.from_outputs(answer.outputs, rows)

    async def infer(
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
    ) -> InferResult:
        """Send tensors to a model or route, and return its outputs and the version that answered.

        :param inputs: numpy arrays by name, or sluice.Tensor with a datatype
        :param version: the version that must answer; None: the route picks one
        :param outputs: the requested outputs; None: all
        :param request_id: the request's X-Request-Id: at most 128 letters, digits and -_.:/+=@~;
            otherwise the gateway makes one
        :param sticky_key: keeps a caller on one version of a route
        :param override: the version to use instead of the route's split; needs the route's override_token
        :param priority: 1 is the highest
        :param timeout: max seconds for the gateway; it can only be shorter than the model's own
        :param json: send and request tensors as JSON instead of binary
        """
        return await self._send(
            self._calls.infer(
                model,
                inputs,
                version=version,
                outputs=outputs,
                request_id=request_id,
                sticky_key=sticky_key,
                override=override,
                override_token=override_token,
                priority=priority,
                timeout=timeout,
                json=json,
            )
        )

    async def live(self) -> bool:
        """Return True if the gateway answers; otherwise raise SluiceError."""
        return await self._send(self._calls.live())

    async def ready(self) -> bool:
        """Return whether the gateway is ready."""
        return await self._is(self._calls.ready())

    async def model_ready(self, model: str, version: Optional[int] = None) -> bool:
        """Return whether a model or route is ready. An unknown one is not ready."""
        return await self._is(self._calls.model_ready(model, version))

    async def model_metadata(self, model: str, version: Optional[int] = None) -> Document:
        """Return the names, datatypes and shapes of a model's inputs and outputs."""
        return await self._send(self._calls.model_metadata(model, version))

    async def index(self) -> List[Document]:
        """Return every version of every model in the repository, with its state."""
        return await self._send(self._calls.index())

    async def models(self) -> List[Document]:
        """Return every version of every model, with digests and details. It asks the admin port."""
        return await self._send(self._calls.models())

    async def model(self, name: str) -> List[Document]:
        """Return the versions of one model. It asks the admin port."""
        return await self._send(self._calls.model(name))

    async def routes(self) -> List[Document]:
        """Return every route. It asks the admin port."""
        return await self._send(self._calls.routes())

    async def route(self, name: str) -> Document:
        """Return a route with its revision. It asks the admin port."""
        return await self._send(self._calls.route(name))

    async def set_route(
        self, route: Mapping[str, Any], *, revision: Optional[int] = None, reason: Optional[str] = None, dry_run: bool = False
    ) -> Document:
        """Replace a route, and return its new state with "slots_moved".

        The gateway refuses the change with status 412 if the route is not at that revision any more. The
        default is the revision in the route, as returned by route; 0 means a route that is not declared yet.
        """
        return await self._send(self._calls.set_route(route, revision=revision, reason=reason, dry_run=dry_run))

    async def set_weights(
        self,
        name: str,
        weights: Mapping[int, Weight],
        *,
        revision: Optional[int] = None,
        reason: Optional[str] = None,
        dry_run: bool = False,
    ) -> Document:
        """Change the weights of a route by version: {1: "80%", 2: "20%"}, or in basis points.

        Other versions keep theirs. The gateway refuses the change with status 412 if the route changes at
        the same time, or is not at the given revision any more.
        """
        route = with_weights(await self.route(name), weights)
        return await self.set_route(route, revision=revision, reason=reason, dry_run=dry_run)

    async def _is(self, call: _http.Call[bool]) -> bool:
        try:
            return await self._send(call)
        except SluiceError as error:
            if error.status == 503:
                return False
            raise

    async def _send(self, call: _http.Call[T]) -> T:
        deadline = time.monotonic() + (self._calls.timeout if call.timeout is None else call.timeout)
        attempt = 0
        while True:
            try:
                return await self._once(call, max(deadline - time.monotonic(), 0.001))
            except SluiceError as error:
                wait = self._calls.retry.wait(call, attempt, error)
                if wait is None or time.monotonic() + wait >= deadline:
                    raise
            attempt += 1
            await asyncio.sleep(wait)

    async def _once(self, call: _http.Call[T], timeout: float) -> T:
        request = self._http.build_request(
            call.method,
            call.url,
            headers=_http.sendable(call.headers),
            params=call.params or None,
            content=call.content or None,
            timeout=timeout,
        )
        try:
            response = await self._http.send(request, stream=True)
            try:
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > self._calls.max_answer_bytes:
                        raise _http.too_long(call, response.status_code, self._calls.max_answer_bytes)
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            raise _http.no_answer(call, error) from error
        return _http.result(call, response.status_code, response.headers, body)
