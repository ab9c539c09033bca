"""What a release published is read back as it was."""

import json

from cifar_dist.submission.chart import defaults, given_to_helm, merged, published
from cifar_dist.submission.values import complete


def test_a_kind_of_gpu_that_a_platform_does_without_does_not_come_back() -> None:
    slices = {"cpu": "4", "memory": "16Gi", "nvidia.com/mig-1g.10gb": "1"}
    own = defaults()
    own["workerGroups"]["gpu"]["resources"] = {"requests": slices, "limits": slices}
    del own["workerGroups"]["cpu"]
    read = complete(published(own))
    assert read.worker_groups["gpu"].resources.limits == slices
    assert list(read.worker_groups) == ["gpu"]


def test_a_key_that_an_older_platform_does_not_know_has_its_default() -> None:
    own = defaults()
    del own["pdb"], own["head"]["shm"]
    assert complete(published(own)) == complete()


def test_a_null_takes_away_what_the_platform_added_and_what_the_chart_has_by_itself() -> None:
    platform = {"head": {"nodeSelector": {"zone": "a"}}}
    run = {"head": {"nodeSelector": {"zone": None, "pool": "b"}}, "workerGroups": {"cpu": None}}
    told = json.loads(given_to_helm(merged(platform, run)))
    assert told == {"head": {"nodeSelector": {"pool": "b"}}, "workerGroups": {"cpu": None}}
