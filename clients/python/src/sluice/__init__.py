"""Client of Sluice, a model inference gateway.

>>> client = Client("localhost:8000")           # doctest: +SKIP
>>> client.predict("iris", frame)               # doctest: +SKIP
>>> client.infer("iris", {"input": array})      # doctest: +SKIP
"""

from ._async_client import AsyncClient
from ._client import Client
from ._errors import SluiceError
from ._tensor import InferResult, Tensor

__all__ = ["AsyncClient", "Client", "InferResult", "SluiceError", "Tensor"]
