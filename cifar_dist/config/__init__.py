"""What a job is: its values, how its text is read, how it is changed."""

from cifar_dist.config.job import S3, Component, Job, Placement, Precision, Recipe
from cifar_dist.config.parse import (
    assigned,
    components,
    job_schema,
    load_job,
    parse_job,
    patched,
)
from cifar_dist.config.shipped import (
    recipe_path,
    shipped_chart,
    shipped_recipes,
    shipped_spaces,
    space_path,
)
from cifar_dist.config.text import YamlFile, dump_yaml, load_file, load_yaml, parse_yaml

__all__ = [
    "S3",
    "Component",
    "Job",
    "Placement",
    "Precision",
    "Recipe",
    "YamlFile",
    "assigned",
    "components",
    "dump_yaml",
    "job_schema",
    "load_file",
    "load_job",
    "load_yaml",
    "parse_job",
    "parse_yaml",
    "patched",
    "recipe_path",
    "shipped_chart",
    "shipped_recipes",
    "shipped_spaces",
    "space_path",
]
