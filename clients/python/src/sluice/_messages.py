"""The messages of gRPC, from the descriptors of api/inference.proto and api/labels.proto.

They are in a pool of their own. In the default pool, and with generated code, a program could not also
import tritonclient or kserve, whose messages have the same names; and generated code needs the version of
protobuf that made it, or a newer one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from ._call import Document

SERVICES = ("inference.GRPCInferenceService", "sluice.v1.Labels")

_POOL = descriptor_pool.DescriptorPool()
for _file in descriptor_pb2.FileDescriptorSet.FromString(Path(__file__).with_name("messages.binpb").read_bytes()).file:
    _POOL.Add(_file)

METHODS: Dict[str, Any] = {method.name: method for service in SERVICES for method in _POOL.FindServiceByName(service).methods}
"""The descriptors of the methods, by name."""


def request(method: str, **fields: Any) -> Any:
    """Return the request of a method."""
    return message_factory.GetMessageClass(METHODS[method].input_type)(**fields)


def reader(method: str) -> Any:
    """Return the function that reads the answer of a method from bytes."""
    return message_factory.GetMessageClass(METHODS[method].output_type).FromString


def document(message: Any) -> Document:
    """Return a message as the JSON document that the gateway answers over HTTP."""
    result: Document = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if _is_repeated(field):
            kind = field.message_type
            if kind is not None and kind.GetOptions().map_entry:
                result[field.name] = {key: _value(kind.fields_by_name["value"], value[key]) for key in value}
            else:
                result[field.name] = [_value(field, element) for element in value]
        elif not field.has_presence or message.HasField(field.name):
            result[field.name] = _value(field, value)
    return result


def _is_repeated(field: Any) -> bool:
    if hasattr(field, "is_repeated"):
        return bool(field.is_repeated)
    return bool(field.label == field.LABEL_REPEATED)  # before protobuf 6.31


def _value(field: Any, value: Any) -> Any:
    if field.message_type is not None:
        return document(value)
    if field.enum_type is not None:
        return field.enum_type.values_by_number[value].name
    return value
