"""Who is let in, and which server is believed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trustme

from clients import NotOffered, Request, Tensor, connect
from gateway import Target

REQUEST = Request("echo_FP32", [Tensor("x", "FP32", np.ones(1, np.float32))])


def test_unknown_authority(client_name: str, targets: dict[str, Target], tmp_path: Path):
    """Access: a certificate of an unknown CA is refused by the client"""
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    client = connect(client_name, replace(targets["TLS"], ca=tmp_path / "ca.pem"))
    try:
        client.infer(REQUEST)
    except NotOffered:
        raise
    except Exception:  # each client has its own
        return
    finally:
        client.close()
    pytest.fail("the client called a server that it cannot know")
