"""What `import delphi_assets` gives, and what it does not load."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import delphi_assets

ROOT = Path(delphi_assets.__file__).parent
HEAVY = {"torch", "transformers", "litellm", "duckdb", "pyarrow", "pydantic", "polars", "fsspec"}


def test_importing_the_library_loads_nothing_heavy() -> None:
    code = f"""
import sys
import delphi_assets
print(sorted(name for name in sys.modules if name.startswith("delphi_assets.")))
print(sorted({HEAVY} & set(sys.modules)))
delphi_assets.Lake
print(sorted({HEAVY - {"duckdb", "pyarrow", "pydantic", "fsspec"}} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n[]\n[]\n"


@pytest.mark.parametrize("name", delphi_assets.__all__)
def test_every_name_is_what_type_checkers_take_it_for(name: str) -> None:
    """The lazy table agrees with the imports under TYPE_CHECKING."""
    (module, attribute) = checked()[name]
    found = getattr(delphi_assets, name)
    assert found is getattr(sys.modules[module], attribute)
    assert name in dir(delphi_assets)


def test_nothing_else_is_listed_or_given() -> None:
    assert set(checked()) == set(delphi_assets.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'explian'"):
        # Only to look it up.
        delphi_assets.explian  # noqa: B018


def test_no_module_of_the_library_imports_from_the_root() -> None:
    """It would be a circle: the root knows them all."""
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "delphi_assets":
                names = {alias.name for alias in node.names}
                assert not names & set(delphi_assets.__all__), path


def checked() -> dict[str, tuple[str, str]]:
    """Module and name there of what is imported under TYPE_CHECKING."""
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    return {
        alias.asname or alias.name: (str(node.module), alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
