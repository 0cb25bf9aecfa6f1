from __future__ import annotations

from typing import Any, Iterable, List, Mapping, Optional, Sequence, TypeVar

import httpx

from . import _http
from ._call import Call, Document, Settings
from ._calls import HTTPCalls, Weight, with_weights
from ._inference import AsyncInference

T = TypeVar("T")


class AsyncClient(AsyncInference):
    """Talks to a gateway, with asyncio.

    :param url: the data port, "localhost:8000" or a URL
    :param admin_url: the admin port, for models and routes
    :param token: the caller's key, sent to both ports
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
        settings = Settings(token, actor, sticky_header, sticky_parameter, timeout, retries, backoff, max_wait, max_answer_bytes)
        self._calls: HTTPCalls = HTTPCalls(url, admin_url, settings)
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

    async def models(self) -> List[Document]:
        """Return every version of every model, with digests and details. It asks the admin port."""
        return await self._send(self._calls.models())

    async def model(self, name: str) -> List[Document]:
        """Return the versions of one model. It asks the admin port."""
        return await self._send(self._calls.model(name))

    async def labels(self, model: str, rows: Iterable[Mapping[str, Any]]) -> Document:
        """Say what was true of earlier predictions of a model or route, and return what became of each row.

        A row has the request_id, the label, and may have the row within the request and the time when the truth
        became known, a datetime with a time zone. What the answer counts is on disk. After an error the same rows may be sent again.
        """
        return await self._send(self._calls.labels(model, rows))

    async def labels_from(self, model: str, body: bytes, media_type: str) -> Document:
        """Send labels of a file, as labels does. The media type is application/json, text/csv or application/vnd.apache.parquet.

        CSV and Parquet have the columns request_id, label, row and time, as DataFrame.to_parquet writes them.
        """
        return await self._send(self._calls.labels_from(model, body, media_type))

    async def label_report(self, model: str) -> Document:
        """Return how good the predictions of a model were. It asks the admin port."""
        return await self._send(self._calls.label_report(model))

    async def session(self) -> Document:
        """Return who the caller is, and what it may do to which models. It asks the admin port."""
        return await self._send(self._calls.session())

    async def history(
        self, *, models: Sequence[str] = (), routes: Sequence[str] = (), span: Optional[str] = None, points: Optional[int] = None
    ) -> Document:
        """Return rates and latencies of models, and of the variants of routes, over a span up to now, such as "15m".

        Each list has one value for each step, None if there is none: requests and errors per second, p50 and p99 in
        seconds, and the queue. The first step begins at "from". Without span it is an hour; "max_span" is the longest
        one. At most 100 names. It asks the admin port.
        """
        return await self._send(self._calls.history(models, routes, span, points))

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

    async def _once(self, call: Call[T], timeout: float) -> T:
        request = self._http.build_request(
            call.method,
            call.target,
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
