"""Streams are told apart by their path and never change."""

from cifar_dist.seeds import derive


def test_a_stream_has_the_same_seed_on_every_machine() -> None:
    assert derive(0, "order", 3) == 2723741169552378311
    assert derive(0, "order", 3) == derive(0, "order", "3")


def test_streams_and_seeds_do_not_meet() -> None:
    paths = [(name, n) for name in ("order", "augment", "dropout") for n in range(100)]
    found = {derive(seed, *path) for seed in (0, 1, -1) for path in paths}
    assert len(found) == 900
    assert all(0 <= value < 2**63 for value in found)
