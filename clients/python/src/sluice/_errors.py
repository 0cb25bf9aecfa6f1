from __future__ import annotations

from typing import Optional


class SluiceError(Exception):
    """A call without a valid answer, or with an error.

    ``status`` is the HTTP status, or None if there was no answer. Over gRPC it is the one that the same
    error has over HTTP, and ``code`` is the name of gRPC's status. ``message`` says what is wrong.
    ``request_id`` is the id by which the gateway's log is searched. ``retry_after`` is how many seconds
    the answer asks to wait, or None if it does not.
    """

    def __init__(
        self,
        status: Optional[int],
        message: str,
        request_id: Optional[str] = None,
        retry_after: Optional[float] = None,
        code: Optional[str] = None,
    ) -> None:
        super().__init__(status, message, request_id, retry_after, code)
        self.status = status
        self.message = message
        self.request_id = request_id
        self.retry_after = retry_after
        self.code = code

    def __str__(self) -> str:
        notes = []
        if self.status is not None:
            notes.append(f"status {self.code or self.status}")
        if self.request_id:
            notes.append(f"request {self.request_id}")
        return f"{self.message} ({', '.join(notes)})" if notes else self.message
