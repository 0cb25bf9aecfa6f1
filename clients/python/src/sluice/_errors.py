from __future__ import annotations

from typing import Optional


class SluiceError(Exception):
    """A call without a valid answer, or with an error.

    ``status`` is the HTTP status, or None if there was no answer. ``message`` says what is wrong.
    ``request_id`` is the id by which the gateway's log is searched. ``retry_after`` is how many seconds
    the answer asks to wait, or None if it does not.
    """

    def __init__(
        self,
        status: Optional[int],
        message: str,
        request_id: Optional[str] = None,
        retry_after: Optional[float] = None,
    ) -> None:
        super().__init__(status, message, request_id, retry_after)
        self.status = status
        self.message = message
        self.request_id = request_id
        self.retry_after = retry_after

    def __str__(self) -> str:
        notes = []
        if self.status is not None:
            notes.append(f"status {self.status}")
        if self.request_id:
            notes.append(f"request {self.request_id}")
        return f"{self.message} ({', '.join(notes)})" if notes else self.message
