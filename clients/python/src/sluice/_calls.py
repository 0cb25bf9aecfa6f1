"""The calls of both HTTP clients, without I/O."""

from __future__ import annotations

import datetime
import json
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union
from urllib.parse import quote

import httpx

from ._call import Call, Configured, Document, Settings, microseconds
from ._http import read_json, read_nothing, undone
from ._tensor import InferResult, decode, encode

Weight = Union[int, str]
"""A share of the traffic: basis points (10,000 are all of it), or text in percent, "12.5%"."""


class HTTPCalls(Configured):
    """Builds calls from the arguments of a client."""

    def __init__(self, url: str, admin_url: Optional[str], settings: Settings) -> None:
        super().__init__(settings, undone)
        self.url = _base(url)
        self.admin_url = None if admin_url is None else _base(admin_url)

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
        parameters: Dict[str, Any] = {}
        headers = {"X-Request-Id": request_id} if request_id else {}
        if priority is not None:
            parameters["priority"] = priority
        if timeout is not None:
            parameters["timeout"] = microseconds(timeout)
        if override is not None:
            headers["Sluice-Override"] = str(override)
        headers.update(self._authorized(override_token))
        if sticky_key:
            if self.sticky_parameter:
                parameters[self.sticky_parameter] = sticky_key
            elif self.sticky_header:
                headers[self.sticky_header] = sticky_key
            else:
                raise ValueError("a sticky key needs sticky_header or sticky_parameter of the client")
        body, more = encode(inputs, outputs, parameters, json)
        # By default httpx asks for gzip, which costs the gateway more time than it saves.
        headers.update(more, **{"Accept-Encoding": "identity"})
        # The gateway answers at its timeout, so the client waits a little longer.
        limit = None if timeout is None else timeout + 1
        return Call(self._model_url(model, version) + "/infer", decode, body, headers, True, limit, "POST")

    def model_metadata(self, model: str, version: Optional[int]) -> Call[Document]:
        return Call(self._model_url(model, version), read_json, headers=self._authorized(), retry=True)

    def statistics(self, model: str, version: Optional[int]) -> Call[List[Document]]:
        def read(body: bytearray, headers: Mapping[str, str]) -> List[Document]:
            document = read_json(body, headers)
            if not isinstance(document, dict) or not isinstance(document.get("model_stats"), list):
                raise ValueError("it has no model_stats")
            return list(document["model_stats"])

        url = self._model_url(model, version) if model else self.url + "/v2/models"
        return Call(url + "/stats", read, headers=self._authorized(), retry=True)

    def model_config(self, model: str, version: Optional[int]) -> Call[Document]:
        return Call(self._model_url(model, version) + "/config", read_json, headers=self._authorized(), retry=True)

    def index(self) -> Call[List[Document]]:
        return Call(self.url + "/v2/repository/index", read_json, headers=self._authorized(), retry=True, method="POST")

    def live(self) -> Call[bool]:
        return Call(self.url + "/v2/health/live", read_nothing)

    def ready(self) -> Call[bool]:
        return Call(self.url + "/v2/health/ready", read_nothing)

    def model_ready(self, model: str, version: Optional[int]) -> Call[bool]:
        return Call(self._model_url(model, version) + "/ready", read_nothing, headers=self._authorized())

    def models(self) -> Call[List[Document]]:
        return self._control("GET", "/models")

    def model(self, name: str) -> Call[List[Document]]:
        return self._control("GET", "/models/" + _segment(name))

    def labels(self, model: str, rows: Iterable[Mapping[str, Any]]) -> Call[Document]:
        content = json.dumps({"labels": [dict(row) for row in rows]}, allow_nan=False, default=_plain).encode()
        return self.labels_from(model, content, "application/json")

    def labels_from(self, model: str, body: bytes, media_type: str) -> Call[Document]:
        headers = {**self._authorized(), "Content-Type": media_type}
        return Call(self._model_url(model, None) + "/labels", read_json, headers=headers, content=body, retry=True, method="POST")

    def label_report(self, model: str) -> Call[Document]:
        return self._control("GET", "/labels/" + _segment(model))

    def session(self) -> Call[Document]:
        return self._control("GET", "/session")

    def history(self, models: Sequence[str], routes: Sequence[str], span: Optional[str], points: Optional[int]) -> Call[Document]:
        params: Dict[str, Any] = {"model": list(models), "route": list(routes)}
        if span is not None:
            params["span"] = span
        if points is not None:
            params["points"] = str(points)
        return self._control("GET", "/history", params=params)

    def routes(self) -> Call[List[Document]]:
        return self._control("GET", "/routes")

    def route(self, name: str) -> Call[Document]:
        return self._control("GET", "/routes/" + _segment(name))

    def set_route(
        self, route: Mapping[str, Any], *, revision: Optional[int], reason: Optional[str], dry_run: bool
    ) -> Call[Document]:
        if revision is None:
            revision = route["revision"]
        headers = {"If-Match": f'"{revision}"', "Content-Type": "application/json"}
        if reason:
            headers["Sluice-Change-Reason"] = reason
        params = {"dry_run": "true"} if dry_run else {}
        return self._control("PUT", "/routes/" + _segment(route["name"]), headers, params, json.dumps(route).encode())

    def _control(
        self,
        method: str,
        path: str,
        headers: Optional[Dict[str, str]] = None,
        params: Optional[Dict[str, Any]] = None,
        content: bytes = b"",
    ) -> Call[Any]:
        if self.admin_url is None:
            raise ValueError("this call needs admin_url of the client")
        headers = {**self._authorized(), **(headers or {})}
        if self.actor and method != "GET":
            headers["Sluice-Actor"] = self.actor
        return Call(self.admin_url + "/api/v1" + path, read_json, content, headers, method=method, params=params or {})

    def _authorized(self, override_token: Optional[str] = None) -> Dict[str, str]:
        token = override_token or self.token
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _model_url(self, model: str, version: Optional[int]) -> str:
        url = self.url + "/v2/models/" + _segment(model)
        return url if version is None else f"{url}/versions/{version}"


def with_weights(route: Document, weights: Mapping[int, Weight]) -> Document:
    """Return a route with these weights of its variants. Other variants keep theirs."""
    known = [variant["version"] for variant in route["variants"]]
    unknown = [version for version in weights if version not in known]
    if unknown:
        raise ValueError(f"the route {route['name']!r} has no variant of version {unknown[0]}, only of {known}")
    variants = [
        {**variant, "weight": basis_points(weights.get(variant["version"], variant["weight"]))} for variant in route["variants"]
    ]
    return {**route, "variants": variants}


def basis_points(weight: Weight) -> int:
    """Return a weight in basis points."""
    if isinstance(weight, int) and not isinstance(weight, bool):
        return weight
    if isinstance(weight, str) and weight.endswith("%"):
        points = float(weight[:-1]) * 100
        if abs(points - round(points)) < 1e-6:
            return round(points)
    raise ValueError(f'the weight {weight!r} is not valid: expected basis points, or percent with at most two decimals, "12.5%"')


def _base(url: str) -> str:
    if "://" not in url:
        url = "http://" + url
    parsed = httpx.URL(url)
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise ValueError(f"{url!r} is not valid: expected host:port, or an http or https URL")
    return url.rstrip("/")


def _plain(value: Any) -> Any:
    """Return a time as text, and a scalar of numpy as Python's."""
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            raise ValueError("the time of a label needs a time zone")
        return value.isoformat()
    if callable(getattr(value, "item", None)):
        return value.item()
    raise TypeError(f"a label cannot have a value of type {type(value).__name__}")


def _segment(name: str) -> str:
    return quote(name, safe="")
