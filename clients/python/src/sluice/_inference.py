"""The methods of the data plane, for both protocols: once with threads, once with asyncio."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Generator, List, Mapping, Optional, TypeVar

from . import _rows
from ._call import Attempts, Call, Calls, Document, InferOptions, PredictOptions
from ._errors import SluiceError
from ._tensor import InferResult

if TYPE_CHECKING:
    from typing_extensions import Unpack

T = TypeVar("T")


class Inference:
    """Infers, and asks what is served. A subclass knows the protocol."""

    _calls: Calls

    def predict(self, model: str, rows: Any, **options: Unpack[PredictOptions]) -> Any:
        """Send the rows of a table to a model and return its answers as a table.

        The rows are a DataFrame, a dict of columns, a list of records, or an array. Each input of the model
        gets the column with its name. If a model has one input and no column has its name, the input gets
        all columns in their order.

        The answer is a DataFrame with the index of the given one. Without pandas it is a list of records if
        the rows are one, otherwise a dict of columns. An output with several values for each row becomes
        the columns "name_0", "name_1" and so on.

        The options are those of infer. infer also returns the version that answered.
        """
        key = model, options.get("version")
        known = self._calls.metadata.get(key)
        while True:
            metadata = known or self.model_metadata(*key)
            try:
                answer = self.infer(model, _rows.to_inputs(rows, metadata), **options)
            except (SluiceError, ValueError) as error:
                if known is None or getattr(error, "status", 400) != 400:
                    raise
                known = None  # the model may have changed
                continue
            self._calls.metadata[key] = metadata
            return _rows.from_outputs(answer.outputs, rows)

    def infer(self, model: str, inputs: Mapping[str, Any], **options: Unpack[InferOptions]) -> InferResult:
        """Send tensors to a model or route, and return its outputs and the version that answered.

        :param inputs: numpy arrays by name, or sluice.Tensor with a datatype
        :param version: the version that must answer; None: the route picks one
        :param outputs: the requested outputs; None: all
        :param request_id: the request's X-Request-Id: at most 128 letters, digits and -_.:/+=@~;
            otherwise the gateway makes one
        :param sticky_key: keeps a caller on one version of a route
        :param override: the version to use instead of the route's split
        :param override_token: the route's token that allows the override; sent instead of the client's token
        :param priority: 1 is the highest
        :param timeout: max seconds for the gateway; it can only be shorter than the model's own
        :param json: send and request tensors as JSON instead of binary; over gRPC it has no effect
        """
        return self._send(self._calls.infer(model, inputs, **options))

    def live(self) -> bool:
        """Return True if the gateway answers; otherwise raise SluiceError."""
        return self._send(self._calls.live())

    def ready(self) -> bool:
        """Return whether the gateway is ready."""
        return self._is(self._calls.ready())

    def model_ready(self, model: str, version: Optional[int] = None) -> bool:
        """Return whether a model or route is ready. An unknown one is not ready."""
        return self._is(self._calls.model_ready(model, version))

    def model_metadata(self, model: str, version: Optional[int] = None) -> Document:
        """Return the names, datatypes and shapes of a model's inputs and outputs."""
        return self._send(self._calls.model_metadata(model, version))

    def index(self) -> List[Document]:
        """Return every version of every model in the repository, with its state."""
        return self._send(self._calls.index())

    def statistics(self, model: str = "", version: Optional[int] = None) -> List[Document]:
        """Return the counts and times of the versions of a model, or of all models."""
        return self._send(self._calls.statistics(model, version))

    def model_config(self, model: str, version: Optional[int] = None) -> Document:
        """Return how a version is served, in the form of Triton's configurations."""
        return self._send(self._calls.model_config(model, version))

    def _is(self, call: Call[bool]) -> bool:
        try:
            return self._send(call)
        except SluiceError as error:
            if error.status == 503:
                return False
            raise

    def _send(self, call: Call[T]) -> T:
        attempts = Attempts(call, self._calls.retry, self._calls.timeout)
        while True:
            try:
                return self._once(call, attempts.left())
            except SluiceError as error:
                wait = attempts.wait(error)
            time.sleep(wait)

    def _once(self, call: Call[T], timeout: float) -> T:
        raise NotImplementedError


class AsyncInference:
    """Inference with asyncio."""

    _calls: Calls

    async def predict(self, model: str, rows: Any, **options: Unpack[PredictOptions]) -> Any:
        """Send the rows of a table to a model and return its answers as a table.

        The rows are a DataFrame, a dict of columns, a list of records, or an array. Each input of the model
        gets the column with its name. If a model has one input and no column has its name, the input gets
        all columns in their order.

        The answer is a DataFrame with the index of the given one. Without pandas it is a list of records if
        the rows are one, otherwise a dict of columns. An output with several values for each row becomes
        the columns "name_0", "name_1" and so on.

        The options are those of infer. infer also returns the version that answered.
        """
        key = model, options.get("version")
        known = self._calls.metadata.get(key)
        while True:
            metadata = known or await self.model_metadata(*key)
            try:
                answer = await self.infer(model, _rows.to_inputs(rows, metadata), **options)
            except (SluiceError, ValueError) as error:
                if known is None or getattr(error, "status", 400) != 400:
                    raise
                known = None  # the model may have changed
                continue
            self._calls.metadata[key] = metadata
            return _rows.from_outputs(answer.outputs, rows)

    async def infer(self, model: str, inputs: Mapping[str, Any], **options: Unpack[InferOptions]) -> InferResult:
        """Send tensors to a model or route, and return its outputs and the version that answered.

        :param inputs: numpy arrays by name, or sluice.Tensor with a datatype
        :param version: the version that must answer; None: the route picks one
        :param outputs: the requested outputs; None: all
        :param request_id: the request's X-Request-Id: at most 128 letters, digits and -_.:/+=@~;
            otherwise the gateway makes one
        :param sticky_key: keeps a caller on one version of a route
        :param override: the version to use instead of the route's split
        :param override_token: the route's token that allows the override; sent instead of the client's token
        :param priority: 1 is the highest
        :param timeout: max seconds for the gateway; it can only be shorter than the model's own
        :param json: send and request tensors as JSON instead of binary; over gRPC it has no effect
        """
        return await self._send(self._calls.infer(model, inputs, **options))

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

    async def statistics(self, model: str = "", version: Optional[int] = None) -> List[Document]:
        """Return the counts and times of the versions of a model, or of all models."""
        return await self._send(self._calls.statistics(model, version))

    async def model_config(self, model: str, version: Optional[int] = None) -> Document:
        """Return how a version is served, in the form of Triton's configurations."""
        return await self._send(self._calls.model_config(model, version))

    async def _is(self, call: Call[bool]) -> bool:
        try:
            return await self._send(call)
        except SluiceError as error:
            if error.status == 503:
                return False
            raise

    async def _send(self, call: Call[T]) -> T:
        attempts = Attempts(call, self._calls.retry, self._calls.timeout)
        while True:
            try:
                return await self._once(call, attempts.left())
            except SluiceError as error:
                wait = attempts.wait(error)
            await asyncio.sleep(wait)

    async def _once(self, call: Call[T], timeout: float) -> T:
        raise NotImplementedError
