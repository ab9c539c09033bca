"""What a job is: its values, how its text is read, how it is changed."""

from cifar_dist.config.job import Component, Job, Placement, Precision, Recipe
from cifar_dist.config.parse import assigned, components, job_schema, parse_job, patched
from cifar_dist.config.text import dump_yaml, load_yaml, parse_yaml

__all__ = [
    "Component",
    "Job",
    "Placement",
    "Precision",
    "Recipe",
    "assigned",
    "components",
    "dump_yaml",
    "job_schema",
    "load_yaml",
    "parse_job",
    "parse_yaml",
    "patched",
]
