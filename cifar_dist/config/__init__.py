"""What a job is: its values, how its text is read, how it is changed."""

from cifar_dist.config.job import Component, Job, Placement, Precision, Recipe
from cifar_dist.config.parse import Registries, assigned, parse_job, patched
from cifar_dist.config.text import load_yaml, parse_yaml

__all__ = [
    "Component",
    "Job",
    "Placement",
    "Precision",
    "Recipe",
    "Registries",
    "assigned",
    "load_yaml",
    "parse_job",
    "parse_yaml",
    "patched",
]
