from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import bertblocks

# The names that DESIGN promises; a name may be added, and is taken away only with a new major version.
PROMISED = {
    "BertBlocksError",
    "BertEncoder",
    "BertPooler",
    "BertTokenizer",
    "CheckpointError",
    "ConfigError",
    "DataError",
    "Dense",
    "Dropout",
    "EnglishBertEncoder",
    "Explainer",
    "GlobalAveragePooling1D",
    "GlobalMaxPooling1D",
    "Graph",
    "GraphError",
    "MissingPackageError",
    "MultilingualBertEncoder",
    "PackedTokens",
    "Predictor",
    "PretrainedBertEncoder",
    "ShapeError",
    "Target",
    "Task",
    "TextClassifier",
    "TextInput",
    "TextRegressor",
    "TokenIdsInput",
    "build",
    "load",
    "load_encoder",
    "load_tokenizer",
    "snippets",
    "text_model",
}


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_promised_names_are_all():
    assert set(bertblocks.__all__) == PROMISED
    assert bertblocks.__all__ == sorted(bertblocks.__all__)


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_a_public_name_can_be_had_and_is_documented(name):
    value = getattr(bertblocks, name)
    if name == "snippets":
        assert value.multilingual_bert.__doc__ and value.english_bert.__doc__
        return
    assert value.__name__ == name and value.__module__.startswith("bertblocks.")
    assert value.__doc__ and not value.__doc__.startswith(f"{name}("), "a docstring of its own"


def test_a_star_import_brings_every_name():
    names: dict[str, object] = {}
    exec("from bertblocks import *", names)
    assert set(names) - {"__builtins__"} == PROMISED


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(bertblocks.__file__).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    seen = {alias.asname for node in imports for alias in node.names if alias.asname}
    assert seen == PROMISED | {"__version__"}


def test_dir_shows_the_names_and_the_version():
    assert set(dir(bertblocks)) == PROMISED | {"__version__"}
    assert bertblocks.__version__.count(".") == 2


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'bertblocks' has no attribute 'TextClasifier'"):
        _ = bertblocks.TextClasifier
    with pytest.raises(ImportError):
        exec("from bertblocks import nothing")


def test_importing_the_package_loads_nothing_heavy():
    heavy = "{'torch', 'numpy', 'sklearn', 'scipy', 'pyarrow', 'tokenizers', 'typer', 'rich'}"
    assert run(f"import sys, bertblocks; print(*sorted({heavy} & set(sys.modules)))") == ""
    assert run(f"import sys, bertblocks as b; b.__all__, dir(b); print(*({heavy} & set(sys.modules)))") == ""
    code = f"import sys; from bertblocks import Graph, Dense, Task; print(*({heavy} & set(sys.modules)))"
    assert run(code) == ""


def test_tokenizing_loads_no_torch():
    code = (
        "import sys, bertblocks as b; b.load_tokenizer('mini').encode(['a']); print('torch' in sys.modules)"
    )
    assert run(code) == "False"


def test_computing_on_a_processor_loads_no_compiler():
    code = "import sys, bertblocks.inference, bertblocks.assembly; print('torch._dynamo' in sys.modules)"
    assert run(code) == "False"


def test_a_name_is_looked_up_once():
    assert (
        run("import bertblocks as b; b.Dense; print('Dense' in vars(b), b.Dense is b.Dense)") == "True True"
    )


def test_the_errors_are_one_tree():
    for name in PROMISED:
        if name.endswith("Error"):
            assert issubclass(getattr(bertblocks, name), bertblocks.BertBlocksError)
    for name in ("GraphError", "CheckpointError", "DataError", "ConfigError", "ShapeError"):
        assert issubclass(getattr(bertblocks, name), ValueError)
