"""What the README shows in YAML is what the program reads."""

import re
import runpy
from pathlib import Path

from cifar_dist.api.model import pretrained_names
from cifar_dist.config import parse_job, parse_yaml
from cifar_dist.search import Space, shipped_spaces

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


def test_the_readmes_job_and_space_are_valid() -> None:
    job, space = re.findall(r"^```yaml\n(.*?)^```", README, re.M | re.S)
    assert parse_job(parse_yaml(job, "README")).title == "dropout-study"
    assert Space.parse(parse_yaml(space, "README")).sampler == "tpe"


def test_the_readme_names_every_space_that_is_not_a_models_own() -> None:
    recipes = {path.stem for path in ROOT.glob("cifar_dist/recipes/*.yaml")}
    assert all(f"`{name}`" in README for name in shipped_spaces().keys() - recipes)


def test_the_readmes_results_are_those_of_the_kept_cards() -> None:
    script = runpy.run_path(str(ROOT / "deploy/make_results.py"))
    names = script["carded"]()
    rows = [script["row"](script["card"](name)) for name in names]
    assert script["HEAD"] + "".join(rows) in README
    assert pretrained_names()
    assert set(pretrained_names()) <= set(names)
