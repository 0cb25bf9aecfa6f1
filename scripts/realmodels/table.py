"""The table of models, models.toml: its header says what the keys mean."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

TABLE = Path(__file__).parent / "models.toml"
ROWS = "rows"


@dataclass(frozen=True)
class Model:
    name: str
    package: str  # name==version
    file: str
    sha256: str
    inputs: dict[str, dict]
    beside: dict[str, str] = field(default_factory=dict)
    sizes: list[dict[str, int]] = field(default_factory=lambda: [{}])
    rows: list[int] = field(default_factory=lambda: [1, 2, 5])
    rtol: float = 1e-3
    atol: float = 1e-4

    @property
    def has_rows(self) -> bool:
        return any(ROWS in hint["shape"] for hint in self.inputs.values())

    @property
    def digests(self) -> dict[str, str]:
        """Every file of the model, by its path in the package."""
        return {self.file: self.sha256, **self.beside}


def read(only: list[str] | None = None) -> list[Model]:
    """The models of the table, or those of them that are named."""
    models = [Model(**entry) for entry in tomllib.loads(TABLE.read_text())["model"]]
    unknown = set(only or []) - {m.name for m in models}
    if unknown:
        raise SystemExit(f"models.toml has no {', '.join(sorted(unknown))}")
    return [m for m in models if not only or m.name in only]
