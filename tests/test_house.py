"""The house rules as tests: layers, doors, sizes, annotations, and files that are generated."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "cifar_dist"
SOURCES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

# A module imports only from rows above its own.
LAYERS = [
    ["errors", "redaction"],
    ["problems", "consent", "seeds", "machine", "durable", "daemon", "containers", "spending"],
    ["counts", "standing"],
    ["registry", "documents", "hazards", "logs"],
    ["config", "dropout"],
    ["search", "store", "data", "augment", "optim", "models", "world", "precision", "device"],
    ["metrics"],
    ["checkpoint", "evidence"],
    ["learner", "runs", "dataset", "events", "tally", "explain"],
    ["loop", "report", "film", "submission"],
    ["probe", "scoring"],
    ["session", "previews"],
    ["sweep", "outcome", "lr_range"],
    ["cluster"],
    ["api", "doctor", "plan"],
    ["cli"],
]
ROW = {name: row for row, names in enumerate(LAYERS) for name in names}

TORCH = {
    "data", "augment", "optim", "models", "world", "precision", "checkpoint", "learner", "dataset",
    "loop", "probe", "device", "session", "cluster", "events", "api", "lr_range", "explain", "film",
    "scoring", "previews", "plan", "dropout",
}  # fmt: skip
DOORS = {
    "ray": {"cluster"},
    "grpc": {"cluster"},
    "torch": TORCH,
    "torchvision": {"models"},
    "safetensors": {"checkpoint"},
    "boto3": {"store"},
    "botocore": {"store"},
    "matplotlib": {"report"},
    "jinja2": {"report"},
    "sklearn": {"report"},
    "PIL": {"dataset", "report", "api"},
    "onnx": {"api"},
    "onnxruntime": {"api"},
    "albumentations": {"augment"},
    "optuna": {"search"},
    "tensorboardX": {"events"},
    "prometheus_client": {"metrics"},
    "yaml": {"config"},
    "typer": {"cli"},
    "tqdm": {"api"},
    "pandas": {"documents"},
}


def noun(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "cifar_dist":
                yield from (f"cifar_dist.{alias.name}" for alias in node.names)
            else:
                yield node.module


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_layers_above_its_own(path: Path) -> None:
    if noun(path) in {"__init__", "__main__"}:
        return
    used = {name.split(".")[1] for name in imports(path) if name.startswith("cifar_dist.")}
    used -= {noun(path), "__version__"}
    wrong = [name for name in used if ROW[name] >= ROW[noun(path)]]
    assert not wrong, f"{noun(path)} may not import {wrong}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_heavy_library_appears_only_behind_its_door(path: Path) -> None:
    used = {name.partition(".")[0] for name in imports(path)}
    wrong = [name for name in used & set(DOORS) if noun(path) not in DOORS[name]]
    assert not wrong, f"{noun(path)} is not the door of {wrong}"


@pytest.mark.parametrize("path", SOURCES + TESTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= 300
    long = [f.name for f in functions(path) if (f.end_lineno or 0) - f.lineno + 1 > 40]
    assert not long, f"longer than 40 lines: {long}"
    assert ast.get_docstring(ast.parse(text)), "a module says in one line what it owns"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_functions_take_at_most_five_parameters(path: Path) -> None:
    if noun(path) == "cli" or path == PACKAGE / "api" / "__init__.py":
        return  # a command's flags, also those of its Python form
    for function in functions(path):
        arguments = function.args
        names = [a.arg for a in arguments.posonlyargs + arguments.args + arguments.kwonlyargs]
        is_factory = any("register" in ast.unparse(d) for d in function.decorator_list)
        count = len([name for name in names if name not in {"self", "cls"}])
        assert is_factory or count <= 5, f"{function.name} takes {count}"


FORBIDDEN_CALLS = {
    "eval", "exec", "torch.jit.load", "torch.package.PackageImporter", "np.memmap", "yaml.load",
    "yaml.unsafe_load", "archive.extract", "archive.extractall", "shutil.unpack_archive",
    "pandas.read_pickle", "np.fromfile",
}  # fmt: skip
FORBIDDEN_MODULES = {
    "pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib",
    "torch.distributed.checkpoint",
}  # fmt: skip


def test_nothing_is_unpickled_and_every_load_of_a_tensor_file_is_weights_only() -> None:
    needed = {"torch.load": "weights_only=True", "np.load": "allow_pickle=False"}
    for path in SOURCES:
        text = path.read_text("utf-8")
        assert "allow_pickle=True" not in text and "weights_only=False" not in text, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call):
                call = ast.unparse(node.func)
                assert call not in FORBIDDEN_CALLS, path
                assert needed.get(call, "") in ast.unparse(node), path


def test_no_module_can_unpickle_but_the_reader_of_the_official_archive() -> None:
    for path in SOURCES:
        # That archive is made of pickles; its reader says how it reads them safely.
        is_reader = path == PACKAGE / "dataset" / "batches.py"
        used = {name for name in imports(path) if name in FORBIDDEN_MODULES}
        lines = [line for line in path.read_text("utf-8").splitlines() if "pickle import" in line]
        # The name of what torch raises harms nobody.
        assert lines in ([], ["from pickle import UnpicklingError"]), path
        assert used <= ({"pickle"} if is_reader or lines else set()), path


def test_the_components_schema_is_what_the_registries_say() -> None:
    from cifar_dist.learner import REGISTRIES

    written = json.loads((PACKAGE / "config" / "components.json").read_text("utf-8"))
    current = {path: registry.schema() for path, registry in REGISTRIES.items()}
    assert written == json.loads(json.dumps(current)), "run `make schema`"


def test_components_read_from_the_schema_are_as_strict_as_their_factories() -> None:
    from cifar_dist.config import components
    from cifar_dist.learner import REGISTRIES

    for path, declared in components().items():
        assert declared.schema() == REGISTRIES[path].schema()


def test_the_lock_files_name_hashes_and_no_address() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text("utf-8")
        assert "--hash=sha256:" in text
        assert "://" not in text
