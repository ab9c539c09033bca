"""What comes with the package is found by name, is whole, and is named when mistyped."""

from pathlib import Path

import pytest

from cifar_dist.config import (
    load_job,
    recipe_path,
    shipped_recipes,
    shipped_spaces,
    space_path,
)
from cifar_dist.errors import ConfigError


@pytest.mark.parametrize("name", shipped_recipes())
def test_every_shipped_recipe_is_called_as_its_file_which_begins_with_its_model(name: str) -> None:
    job = load_job(recipe_path(name))
    assert job.title == name.replace("_", "-")
    assert f"{name}_".startswith(f"{job.recipe.model.name}_")


def test_a_file_is_found_where_no_name_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine").touch()
    assert recipe_path("mine") == space_path("mine") == Path("mine")
    assert recipe_path("gone.yaml") == Path("gone.yaml")
    assert recipe_path("./mine") == Path("mine")
    assert recipe_path(str(tmp_path)) == tmp_path


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 300, "speednett"])
def test_a_name_that_is_nothing_is_refused_with_what_there_is(name: str) -> None:
    for find in (recipe_path, space_path):
        with pytest.raises(ConfigError, match="neither a file nor a shipped"):
            find(name)
    with pytest.raises(ConfigError, match="a shipped recipe; did you mean 'speednet'"):
        recipe_path("speednett")


def test_recipes_and_spaces_are_both_shipped() -> None:
    assert "speednet" in shipped_recipes()
    assert "quickstart" in shipped_spaces()
