"""What the README shows in YAML is what the program reads."""

import re
from pathlib import Path

from cifar_dist.config import parse_job, parse_yaml
from cifar_dist.search import Space, shipped_spaces

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")


def test_the_readmes_job_and_space_are_valid() -> None:
    job, space = re.findall(r"^```yaml\n(.*?)^```", README, re.M | re.S)
    assert parse_job(parse_yaml(job, "README")).title == "dropout-study"
    assert Space.parse(parse_yaml(space, "README")).sampler == "tpe"


def test_the_readme_names_every_space_that_is_not_a_models_own() -> None:
    models = {path.stem for path in Path(__file__).parents[1].glob("cifar_dist/recipes/*.yaml")}
    assert all(f"`{name}`" in README for name in shipped_spaces().keys() - models)
