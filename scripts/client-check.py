#!/usr/bin/env python3
"""Drives a running gateway with real clients: tritonclient and kserve's client, both over HTTP and gRPC, and plain urllib.

    pip install -r scripts/requirements-clients.txt
    scripts/client-check.py prepare DIR                 # the demo models, one of strings, gateway.yaml
    gateway serve -c DIR/gateway.yaml
    scripts/client-check.py run http://127.0.0.1:8000 127.0.0.1:8001
    scripts/client-check.py triton-grpc 127.0.0.1:8001  # on its own: kserve's messages and tritonclient's have the same names

Expected answers come from testdata/golden. Prints one line per check and exits 1 where one fails.
"""

import argparse
import asyncio
import gzip
import json
import queue
import shutil
import sys
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import onnx
import tritonclient.http as triton
from onnx import TensorProto, helper
from tritonclient.utils import InferenceServerException

if "triton-grpc" in sys.argv:
    import tritonclient.grpc as triton_grpc
    import tritonclient.grpc.aio as triton_aio
else:
    try:
        import kserve
    except ImportError as error:
        kserve, NO_KSERVE = None, str(error)

ROOT = Path(__file__).resolve().parent.parent
STRINGS = "strings"  # one BYTES input "text" [batch], copied to the output "copy"


def prepare(directory: Path) -> None:
    shutil.copytree(ROOT / "models", directory, dirs_exist_ok=True)
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Identity", ["text"], ["copy"])],
        STRINGS,
        [info("text", TensorProto.STRING, ["batch"])],
        [info("copy", TensorProto.STRING, ["batch"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = directory / STRINGS / "1" / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    # Every version of iris is called; by default only the newest is loaded.
    settings = f"repository:\n  path: {json.dumps(str(directory.resolve()))}\ndefaults:\n  versions: all\n"
    (directory / "gateway.yaml").write_text(settings)
    print(f"models and gateway.yaml in {directory}")


# --- expectations ----------------------------------------------------------------------------------------------------


class Golden:
    """The golden answers of one version of a demo model."""

    def __init__(self, model: str, version: int):
        document = json.loads((ROOT / "testdata" / "golden" / f"{model}-{version}.json").read_text())
        self.model, self.version, self.tolerance = model, str(version), document["tolerance"]
        case = document["cases"][0]
        self.request = case["request"]
        entry = case["request"]["inputs"][0]
        self.rows = np.array(entry["data"], np.float32).reshape(entry["shape"])
        kinds = {"FP32": np.float32, "INT64": np.int64}
        self.outputs = {
            o["name"]: np.array(o["data"], kinds[o["datatype"]]).reshape(o["shape"]) for o in case["outputs"]
        }

    def check(self, name: str, got) -> None:
        want = self.outputs[name]
        expect(got is not None, f"{name} is missing")
        same((got.shape, got.dtype), (want.shape, want.dtype))
        close = np.allclose(got, want, rtol=self.tolerance["relative"], atol=self.tolerance["absolute"])
        exact = want.dtype == np.float32 or np.array_equal(got, want)
        expect(close and exact, f"{name}: {got.ravel()[:4]}, want {want.ravel()[:4]}")


def expect(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)


def same(got, want) -> None:
    expect(got == want, f"{got!r}, want {want!r}")


# --- tritonclient ----------------------------------------------------------------------------------------------------


class TritonChecks:
    """tritonclient.http as its users call it; inputs are binary by default, and outputs where none are named."""

    def __init__(self, url: str):
        self.client = triton.InferenceServerClient(urlsplit(url).netloc, concurrency=4)

    @staticmethod
    def _inputs(golden: Golden, binary: bool = True, rows=None) -> list[triton.InferInput]:
        data = golden.rows if rows is None else rows
        tensor = triton.InferInput("input", list(data.shape), "FP32")
        tensor.set_data_from_numpy(data, binary_data=binary)
        return [tensor]

    def _golden(self, golden: Golden, binary: bool = True, **options) -> triton.InferResult:
        options.setdefault("model_version", golden.version)
        result = self.client.infer(golden.model, self._inputs(golden, binary), **options)
        for name in golden.outputs:
            golden.check(name, result.as_numpy(name))
        return result

    def _refused(self, status: int, text: str, call) -> None:
        try:
            call()
        except InferenceServerException as error:
            same(error.status(), str(status))
            expect(text.lower() in error.message().lower(), f"message {error.message()!r} does not hold {text!r}")
            return
        raise AssertionError(f"no error, want {status}")

    def check_health(self):
        expect(self.client.is_server_live(), "not live")
        expect(self.client.is_server_ready(), "not ready")
        expect(self.client.is_model_ready("digits"), "digits not ready")
        expect(self.client.is_model_ready("iris", "1"), "iris 1 not ready")
        expect(not self.client.is_model_ready("absent"), "an unknown model is ready")

    def check_server_metadata(self):
        metadata = self.client.get_server_metadata()
        expect(metadata["name"] and metadata["version"], f"{metadata}")
        expect("binary_tensor_data" in metadata["extensions"], f"{metadata['extensions']}")

    def check_model_metadata(self):
        metadata = self.client.get_model_metadata("breast_cancer")
        same(metadata["name"], "breast_cancer")
        same(metadata["versions"], ["1"])
        same(metadata["inputs"], [{"name": "input", "datatype": "FP32", "shape": [-1, 30]}])
        same([o["name"] for o in metadata["outputs"]], ["label", "probabilities"])
        same(self.client.get_model_metadata("iris", "1")["inputs"][0]["shape"], [-1, 4])

    def check_repository_index(self):
        index = {(m["name"], m.get("version")): m.get("state") for m in self.client.get_model_repository_index()}
        for model in ("iris", "digits", "diabetes", "breast_cancer", STRINGS):
            expect("READY" in [state for (name, _), state in index.items() if name == model], f"{model}: {index}")

    def check_statistics(self):
        def successes():
            stats = self.client.get_inference_statistics("diabetes", "1")["model_stats"][0]
            for block in ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output",
                          "cache_hit", "cache_miss"):
                expect({"count", "ns"} <= set(stats["inference_stats"][block]), f"{block}: {stats}")
            return stats["inference_stats"]["success"]["count"], stats["inference_count"]

        before = successes()
        self._golden(Golden("diabetes", 1))
        after = successes()
        same((after[0] - before[0], after[1] - before[1]), (1, 16))
        expect(len(self.client.get_inference_statistics()["model_stats"]) >= 5, "too few models")

    def check_infer_default_binary(self):
        for model, version in (("iris", 1), ("iris", 2), ("iris", 3), ("breast_cancer", 1), ("digits", 1), ("diabetes", 1)):
            self._golden(Golden(model, version))

    def check_infer_json(self):
        golden = Golden("breast_cancer", 1)
        outputs = [triton.InferRequestedOutput(name, binary_data=False) for name in golden.outputs]
        self._golden(golden, binary=False, outputs=outputs)

    def check_infer_mixed_outputs(self):
        golden = Golden("digits", 1)
        outputs = [triton.InferRequestedOutput("probabilities", binary_data=True),
                   triton.InferRequestedOutput("label", binary_data=False)]
        result = self._golden(golden, outputs=outputs)
        same([o["name"] for o in result.get_response()["outputs"]], ["probabilities", "label"])

    def check_infer_requested_output_only(self):
        golden = Golden("iris", 2)
        result = self.client.infer("iris", self._inputs(golden), "2",
                                   outputs=[triton.InferRequestedOutput("probabilities")])
        same([o["name"] for o in result.get_response()["outputs"]], ["probabilities"])
        golden.check("probabilities", result.as_numpy("probabilities"))

    def check_infer_version_and_id(self):
        for version in (1, 2):
            answer = self._golden(Golden("iris", version), request_id=f"call-{version}").get_response()
            same((answer["model_name"], answer["model_version"], answer["id"]), ("iris", f"{version}", f"call-{version}"))

    def check_infer_compressed(self):
        for algorithm in ("gzip", "deflate"):
            self._golden(Golden("digits", 1), request_compression_algorithm=algorithm)
            self._golden(Golden("digits", 1), response_compression_algorithm=algorithm)

    def check_infer_async(self):
        golden = Golden("breast_cancer", 1)
        calls = [self.client.async_infer(golden.model, self._inputs(golden), "1") for _ in range(32)]
        for call in calls:
            golden.check("probabilities", call.get_result().as_numpy("probabilities"))

    def check_infer_no_rows(self):
        golden = Golden("iris", 1)
        result = self.client.infer("iris", self._inputs(golden, rows=golden.rows[:0]), "1")
        same((result.as_numpy("label").shape, result.as_numpy("probabilities").shape), ((0,), (0, 3)))

    def check_strings(self):
        words = [b"", b"plain", "grün 漢字".encode(), b"a\x00b", b"x" * 70000]
        for binary_in, binary_out in ((True, True), (True, False), (False, True), (False, False)):
            tensor = triton.InferInput("text", [len(words)], "BYTES")
            tensor.set_data_from_numpy(np.array(words, np.object_), binary_data=binary_in)
            result = self.client.infer(STRINGS, [tensor], outputs=[triton.InferRequestedOutput("copy", binary_out)])
            got = [w.encode() if isinstance(w, str) else w for w in result.as_numpy("copy")]
            expect(got == words, f"binary in {binary_in}, out {binary_out}: {[w[:10] for w in got]}")

    def check_errors(self):
        golden = Golden("iris", 1)
        good, client = self._inputs(golden), self.client
        self._refused(404, "Request for unknown model: 'absent'", lambda: client.infer("absent", good))
        self._refused(404, "version 9 is not found", lambda: client.infer("iris", good, "9"))
        self._refused(404, "absent", lambda: client.get_model_metadata("absent"))
        wide = self._inputs(golden, rows=np.zeros((1, 5), np.float32))
        self._refused(400, "unexpected shape for input 'input'", lambda: client.infer("iris", wide))
        other = triton.InferInput("input", [1, 4], "FP64")
        other.set_data_from_numpy(np.zeros((1, 4)))
        self._refused(400, "data-type", lambda: client.infer("iris", [other]))
        self._refused(400, "unexpected inference output 'absent'",
                      lambda: client.infer("iris", good, outputs=[triton.InferRequestedOutput("absent")]))
        self._refused(400, "missing required input", lambda: client.infer("iris", []))

    def check_classification(self):
        golden = Golden("iris", 1)
        for binary in (False, True):
            output = triton.InferRequestedOutput("probabilities", class_count=2, binary_data=binary)
            got = self.client.infer("iris", self._inputs(golden), "1", outputs=[output]).as_numpy("probabilities")
            best = [row.argsort()[::-1][:2] for row in golden.outputs["probabilities"]]
            # tritonclient gives text for JSON and bytes for binary outputs
            classes = [[int((text if isinstance(text, str) else text.decode()).split(":")[1]) for text in row] for row in got]
            expect(classes == [list(row) for row in best], f"classes, binary {binary}: {got[:2]}")

    def check_not_served(self):
        good, client = self._inputs(Golden("iris", 1)), self.client
        self._refused(501, "sequence", lambda: client.infer("iris", good, sequence_id=7, sequence_start=True))
        self._refused(503, "explicit", lambda: client.load_model("iris"))
        self._refused(503, "explicit", lambda: client.unload_model("iris"))


# --- kserve ----------------------------------------------------------------------------------------------------------


class KServeChecks:
    """kserve's InferenceRESTClient: it reads the bodies of the health endpoints as JSON."""

    def __init__(self, url: str):
        self.url = url

    def _call(self, use):
        async def session():
            async with kserve.InferenceRESTClient(kserve.RESTConfig(protocol="v2")) as client:
                return await use(client)

        return asyncio.run(session())

    def _infer(self, golden: Golden, binary: bool) -> None:
        tensor = kserve.InferInput("input", list(golden.rows.shape), "FP32")
        tensor.set_data_from_numpy(golden.rows, binary_data=binary)
        request = kserve.InferRequest(golden.model, [tensor], request_id="k", parameters={"binary_data_output": binary})
        answer = self._call(lambda client: client.infer(self.url, request, model_name=golden.model))
        same((answer.model_name, answer.id), (golden.model, "k"))
        for name in golden.outputs:
            golden.check(name, answer.get_output_by_name(name).as_numpy())

    def check_health(self):
        expect(self._call(lambda client: client.is_server_live(self.url)) is True, "not live")
        expect(self._call(lambda client: client.is_server_ready(self.url)) is True, "not ready")
        expect(self._call(lambda client: client.is_model_ready(self.url, "iris")) is True, "iris not ready")
        expect(self._call(lambda client: client.is_model_ready(self.url, "absent")) is False, "absent is ready")

    def check_infer_json(self):
        self._infer(Golden("digits", 1), binary=False)

    def check_infer_binary(self):
        self._infer(Golden("breast_cancer", 1), binary=True)

    def check_error(self):
        try:
            self._call(lambda client: client.infer(self.url, {"inputs": []}, model_name="absent"))
        except Exception as error:  # httpx.HTTPStatusError; httpx itself is kserve's dependency, not ours
            status = getattr(getattr(error, "response", None), "status_code", None)
            expect(status == 404 and "Request for unknown model" in str(error), str(error))
            return
        raise AssertionError("no error, want 404")


# --- gRPC ------------------------------------------------------------------------------------------------------------


class TritonGRPCChecks:
    """tritonclient.grpc, with threads, with asyncio, and on a stream."""

    def __init__(self, address: str):
        self.address = address
        self.client = triton_grpc.InferenceServerClient(address)

    @staticmethod
    def _inputs(golden: Golden) -> list:
        tensor = triton_grpc.InferInput("input", list(golden.rows.shape), "FP32")
        tensor.set_data_from_numpy(golden.rows)
        return [tensor]

    def _check(self, golden: Golden, result) -> None:
        for name in golden.outputs:
            golden.check(name, result.as_numpy(name))

    def check_health(self):
        expect(self.client.is_server_live(), "not live")
        expect(self.client.is_server_ready(), "not ready")
        expect(self.client.is_model_ready("iris", "1"), "iris 1 not ready")
        expect(not self.client.is_model_ready("absent"), "an unknown model is ready")

    def check_infer(self):
        for model in ("digits", "breast_cancer", "diabetes", "iris"):
            golden = Golden(model, 1)
            result = self.client.infer(model, self._inputs(golden), model_version="1", request_id="q")
            self._check(golden, result)
            answer = result.get_response()
            same((answer.model_name, answer.model_version, answer.id), (model, "1", "q"))
            same(answer.parameters["sluice_version"].int64_param, 1)

    def check_strings(self):
        words = np.array(["a", "", "ö\0"], dtype=np.object_)
        tensor = triton_grpc.InferInput("text", [3], "BYTES")
        tensor.set_data_from_numpy(words)
        copy = self.client.infer(STRINGS, [tensor]).as_numpy("copy")
        same([w.decode() for w in copy], list(words))

    def check_classification(self):
        golden = Golden("digits", 1)
        name = next(n for n, o in golden.outputs.items() if o.ndim == 2)
        asked = [triton_grpc.InferRequestedOutput(name, class_count=2)]
        got = self.client.infer("digits", self._inputs(golden), outputs=asked, model_version="1").as_numpy(name)
        same([row[0].decode().split(":")[1] for row in got], [str(i) for i in golden.outputs[name].argmax(axis=1)])

    def check_compression(self):
        golden = Golden("digits", 1)
        self._check(golden, self.client.infer("digits", self._inputs(golden), model_version="1", compression_algorithm="gzip"))

    def check_callback(self):
        golden, answers = Golden("digits", 1), queue.Queue()
        self.client.async_infer("digits", self._inputs(golden), lambda result, error: answers.put((result, error)), model_version="1")
        result, error = answers.get(timeout=10)
        expect(error is None, str(error))
        self._check(golden, result)

    def check_stream(self):
        golden, answers = Golden("digits", 1), queue.Queue()
        with triton_grpc.InferenceServerClient(self.address) as client:
            client.start_stream(lambda result, error: answers.put((result, error)))
            for i in range(200):
                client.async_stream_infer("absent" if i == 100 else "digits", self._inputs(golden), request_id=str(i), enable_empty_final_response=True)
            got = [answers.get(timeout=10) for _ in range(200)]
            client.stop_stream()
        errors = [str(error) for _, error in got if error]
        same(len(errors), 1)
        expect("Request for unknown model: 'absent'" in errors[0], errors[0])
        results = [result for result, error in got if not error]
        same({r.get_response().id for r in results}, {str(i) for i in range(200)} - {"100"})
        for result in results:
            self._check(golden, result)

    def check_asyncio(self):
        golden = Golden("digits", 1)

        async def requests():
            for i in range(20):
                yield {"model_name": "digits", "inputs": self._inputs(golden), "request_id": str(i)}

        async def session():
            async with triton_aio.InferenceServerClient(self.address) as client:
                calls = [client.infer("digits", self._inputs(golden), model_version="1") for _ in range(20)]
                streamed = [pair async for pair in client.stream_infer(requests())]
                return await asyncio.gather(*calls), streamed

        results, streamed = asyncio.run(session())
        same((len(results), len(streamed), [error for _, error in streamed if error]), (20, 20, []))
        for result in results + [result for result, _ in streamed]:
            self._check(golden, result)

    def check_errors(self):
        golden = Golden("digits", 1)
        for model, code in (("absent", "NOT_FOUND"), ("iris", "INVALID_ARGUMENT")):
            try:
                self.client.infer(model, self._inputs(golden))
            except InferenceServerException as error:
                same(error.status(), f"StatusCode.{code}")
            else:
                raise AssertionError(f"no error, want {code}")

    def check_settings(self):
        same(list(self.client.get_trace_settings(as_json=True)["settings"]["trace_level"]["value"]), ["OFF"])
        expect("log_info" in self.client.get_log_settings().settings, "no log settings")
        same(len(self.client.get_system_shared_memory_status().regions), 0)
        self.client.unregister_system_shared_memory()
        same(self.client.get_model_config("digits").config.platform, "onnxruntime_onnx")
        same(self.client.get_inference_statistics("digits").model_stats[0].name, "digits")
        expect(any(m.name == "digits" for m in self.client.get_model_repository_index().models), "digits is not in the index")


class KServeGRPCChecks:
    """kserve's InferenceGRPCClient."""

    def __init__(self, address: str):
        self.address = address

    def _call(self, use):
        async def session():
            async with kserve.InferenceGRPCClient(self.address, retries=0) as client:
                return await use(client)

        return asyncio.run(session())

    def check_health(self):
        expect(self._call(lambda client: client.is_server_live()) is True, "not live")
        expect(self._call(lambda client: client.is_server_ready()) is True, "not ready")
        expect(self._call(lambda client: client.is_model_ready("iris")) is True, "iris not ready")

    def _infer(self, golden: Golden, binary: bool) -> None:
        tensor = kserve.InferInput("input", list(golden.rows.shape), "FP32")
        tensor.set_data_from_numpy(golden.rows, binary_data=binary)
        request = kserve.InferRequest(golden.model, [tensor], request_id="k", model_version="1")
        answer = self._call(lambda client: client.infer(request))
        same((answer.model_name, answer.id), (golden.model, "k"))
        for name in golden.outputs:
            golden.check(name, answer.get_output_by_name(name).as_numpy())

    def check_infer_contents(self):
        self._infer(Golden("digits", 1), binary=False)

    def check_infer_raw(self):
        self._infer(Golden("breast_cancer", 1), binary=True)


# --- urllib ----------------------------------------------------------------------------------------------------------


class PlainChecks:
    """What a program without any client library sees."""

    def __init__(self, url: str):
        self.url = url

    def _call(self, path: str, body: bytes | None = None, headers: dict | None = None):
        request = urllib.request.Request(self.url + path, body, headers or {})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def check_health_bodies(self):
        for path in ("/v2/health/live", "/v2/health/ready"):
            status, _, body = self._call(path)
            same((status, json.loads(body)), (200, {"live": True, "ready": True}))
        status, _, body = self._call("/v2/models/digits/ready")
        same((status, json.loads(body)["ready"]), (200, True))

    def check_infer_and_headers(self):
        golden = Golden("iris", 1)
        body = json.dumps(golden.request).encode()
        status, headers, body = self._call("/v2/models/iris/versions/1/infer", body, {"X-Request-Id": "abc-123"})
        same(status, 200)
        for output in json.loads(body)["outputs"]:
            want = golden.outputs[output["name"]]
            golden.check(output["name"], np.array(output["data"], want.dtype).reshape(output["shape"]))
        same((headers["Sluice-Version"], headers["Sluice-Reason"], headers["X-Request-Id"]), ("1", "pinned", "abc-123"))
        expect(headers["Sluice-Route"].startswith("iris@"), headers["Sluice-Route"])

    def check_nested_and_gzip(self):
        golden = Golden("diabetes", 1)
        entry = {"name": "input", "datatype": "FP32", "shape": list(golden.rows.shape), "data": golden.rows.tolist()}
        body = gzip.compress(json.dumps({"inputs": [entry]}).encode())
        status, _, body = self._call("/v2/models/diabetes/infer", body, {"Content-Encoding": "gzip"})
        same(status, 200)
        golden.check("prediction", np.array(json.loads(body)["outputs"][0]["data"], np.float32).reshape(-1, 1))

    def check_raw_body(self):
        row = Golden("digits", 1).rows[:1].tobytes()
        headers = {"Inference-Header-Content-Length": "0", "Content-Type": "application/octet-stream"}
        status, headers, body = self._call("/v2/models/digits/infer", row, headers)
        same(status, 200)
        document = json.loads(body[: int(headers["Inference-Header-Content-Length"])])
        same([o["shape"] for o in document["outputs"]], [[1], [1, 10]])

    def check_errors_are_json(self):
        good = json.dumps(Golden("iris", 1).request).encode()
        for path, body, want in (("/v2/models/iris/infer", b"{", 400), ("/v2/models/iris/infer", b"[]", 400),
                                 ("/v2/models/absent/infer", good, 404), ("/v2/absent", None, 404)):
            status, headers, answer = self._call(path, body)
            same(status, want)
            expect(isinstance(json.loads(answer)["error"], str), f"{path}: {answer[:80]!r}")
            expect(headers["X-Request-Id"], f"{path}: no X-Request-Id")


# --- all of it -------------------------------------------------------------------------------------------------------


def run(url: str, grpc: str) -> int:
    url = url.rstrip("/")
    try:
        urllib.request.urlopen(url + "/v2/health/live", timeout=10).close()
    except OSError as error:
        sys.exit(f"{url}: {error}")
    suites = [("tritonclient", TritonChecks, url), ("kserve", KServeChecks, url), ("urllib", PlainChecks, url)]
    return check(suites + ([("kserve gRPC", KServeGRPCChecks, grpc)] if grpc else []))


def check(suites) -> int:
    failed = 0
    for client, checks, address in suites:
        if client.startswith("kserve") and kserve is None:
            print(f"skip  {client}: {NO_KSERVE}")
            continue
        suite = checks(address)
        for name in [name for name in dir(suite) if name.startswith("check_")]:
            title = f"{client}: {name.removeprefix('check_').replace('_', ' ')}"
            try:
                getattr(suite, name)()
            except Exception as error:  # whatever a client raises is this check's failure, not the end of the run
                failed += 1
                print(f"FAIL  {title}: {type(error).__name__}: {error}")
            else:
                print(f"ok    {title}")
    print(f"{failed} failed" if failed else "all passed")
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("prepare", help="write the model repository that run expects")
    one.add_argument("directory", type=Path)
    two = commands.add_parser("run", help="check a gateway that serves it")
    two.add_argument("url")
    two.add_argument("grpc", nargs="?", default="", help="the gRPC listener, host:port")
    three = commands.add_parser("triton-grpc", help="check its gRPC listener with tritonclient.grpc")
    three.add_argument("grpc")
    args = parser.parse_args()
    if args.command == "prepare":
        prepare(args.directory)
        return 0
    if args.command == "triton-grpc":
        return check([("tritonclient.grpc", TritonGRPCChecks, args.grpc)])
    return run(args.url, args.grpc)


if __name__ == "__main__":
    sys.exit(main())
