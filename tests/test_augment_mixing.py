"""Mixed images: how much of each is whose, and that their targets say so."""

import pytest
import torch
from torch import Tensor

from cifar_dist.augment import Policy
from cifar_dist.augment.mixing import SymmetricBeta
from tests.pictures import augmented, labels_of, mixed
from tests.tiny import make_learner

N = 500


@pytest.fixture(scope="module")
def plain() -> Tensor:
    """Give images of one level each, so that every pixel says whose it is."""
    return (torch.arange(N) % 250).to(torch.uint8)[:, None, None, None].expand(-1, 3, 32, 32)


def drawn(plain: Tensor, name: str, **options: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    policy = Policy([{"name": name, "p": 1.0, **options}])
    table = policy.table(N, 0, 0)
    images, targets = policy.apply(plain, labels_of(plain), torch.arange(N), table, 0)
    return images, targets, (table[:, 1].double() * N).long(), table


def own_share(targets: Tensor, partners: Tensor) -> Tensor:
    """Read the share of an image's own class off its target; pairs of one class say nothing."""
    mine, other = torch.arange(N) % 10, partners % 10
    share = targets.gather(1, mine[:, None])[:, 0]
    assert torch.allclose(
        share + targets.gather(1, other[:, None])[:, 0] * (mine != other), torch.ones(N)
    )
    return share.where(mine != other, torch.nan)


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.5, 1.0, 2.0, 4.0])
def test_the_quantiles_of_beta_are_those_of_its_distribution(alpha: float) -> None:
    from scipy.stats import beta

    u = torch.linspace(0, 1, 1001, dtype=torch.float64)[:-1]
    expected = torch.from_numpy(beta.ppf(u.numpy(), alpha, alpha)).float()
    assert torch.allclose(SymmetricBeta(alpha)(u), expected, atol=2e-4)


def test_mixup_weighs_pixels_and_classes_alike(plain: Tensor) -> None:
    images, targets, partners, _ = drawn(plain, "mixup")
    own = own_share(targets, partners)
    told = own.isfinite()
    levels = plain[:, 0, 0, 0].float()
    expected = own * levels + (1 - own) * levels[partners]
    assert (images[:, 0, 5, 5][told] - expected[told]).abs().max() <= 0.51
    assert (images == images[:, :1, :1, :1]).all()


def test_the_weights_of_mixup_are_beta(plain: Tensor) -> None:
    for alpha in (0.3, 1.0, 4.0):
        _, targets, partners, _ = drawn(plain, "mixup", alpha=alpha)
        own = own_share(targets, partners)
        own = own[own.isfinite()]
        variance = 1 / (4 * (2 * alpha + 1))
        assert float(own.mean()) == pytest.approx(0.5, abs=4 * (variance / len(own)) ** 0.5)
        assert float(own.var()) == pytest.approx(variance, rel=0.25)


def test_cutmix_gives_each_class_its_area(plain: Tensor) -> None:
    images, targets, partners, _ = drawn(plain, "cutmix")
    levels = plain[:, 0, 0, 0]
    own = own_share(targets, partners)
    told = own.isfinite() & (levels != levels[partners])
    area = (images[:, 0] == levels[:, None, None]).flatten(1).float().mean(1)
    assert torch.allclose(own[told], area[told])
    foreign = (images[:, 0] == levels[partners][:, None, None])[told]
    assert torch.equal(foreign.flatten(1).float().mean(1), 1 - area[told])
    # Centers are any pixels, so edges are covered as often as what lies opposite.
    for first, last in ((foreign[:, 0], foreign[:, -1]), (foreign[..., 0], foreign[..., -1])):
        shares = [float(line.any(1).float().mean()) for line in (first, last)]
        assert min(shares) > 0.2
        assert shares[0] == pytest.approx(shares[1], abs=0.12)


def test_the_areas_of_cutmix_are_those_of_torchvision(plain: Tensor) -> None:
    from torchvision.transforms import v2

    _, targets, partners, _ = drawn(plain, "cutmix")
    own = own_share(targets, partners)
    own = own[own.isfinite()]
    torch.manual_seed(0)
    transform = v2.CutMix(num_classes=10)
    theirs = torch.tensor(
        [transform.make_params([torch.zeros(2, 3, 32, 32)])["lam_adjusted"] for _ in range(2000)]
    )
    for statistic in (torch.mean, torch.std, torch.median):
        assert float(statistic(own)) == pytest.approx(float(statistic(theirs)), abs=0.06)


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_a_share_p_is_mixed_and_the_rest_keeps_its_class(name: str, plain: Tensor) -> None:
    images, targets = mixed(plain.contiguous(), {"name": name, "p": 0.3})
    pure = targets.amax(1) == 1
    untouched = (images == plain).flatten(1).all(1)
    assert 0.6 * N < int(untouched.sum()) < 0.8 * N
    assert pure[untouched].float().mean() > 0.95
    assert torch.equal(targets[untouched & pure].argmax(1), labels_of(plain)[untouched & pure])


def test_partners_are_training_images_drawn_evenly_by_the_image_alone(plain: Tensor) -> None:
    _, _, partners, _ = drawn(plain, "mixup")
    assert 0 <= int(partners.min()) < int(partners.max()) < N
    assert 0.55 * N < len(partners.unique()) < 0.7 * N  # of draws with replacement: 1 - 1/e


def test_a_partner_is_augmented_by_its_own_draws_before_it_is_mixed(plain: Tensor) -> None:
    crowd = torch.randint(0, 256, plain.shape, generator=torch.Generator().manual_seed(0))
    pixels = crowd.to(torch.uint8)
    for components in (
        [{"name": "cutmix", "p": 1.0}, {"name": "pad_crop"}],
        [{"name": "pad_crop"}, {"name": "cutmix", "p": 1.0}],
    ):
        policy = Policy(components)
        table = policy.table(N, 0, 0)
        images, _ = policy.apply(pixels, labels_of(pixels), torch.arange(N), table, 0)
        partners = (table[:, 3].double() * N).long()
        alone, _ = Policy([{"name": "pad_crop"}]).apply(
            pixels, labels_of(pixels), torch.arange(N), table[:, :2], 0
        )
        assert ((images == alone) | (images == alone[partners])).all()


def test_mixes_compose_and_the_targets_still_sum_to_one(plain: Tensor) -> None:
    images, targets = mixed(plain.contiguous(), {"name": "mixup"}, {"name": "cutmix", "p": 1.0})
    assert torch.allclose(targets.sum(1), torch.ones(N))
    assert 2.5 < (targets > 0).sum(1).float().mean() <= 3
    assert (images != augmented(plain.contiguous(), {"name": "mixup"})).any()


def test_no_image_is_mixed_for_p_0_but_targets_are_probabilities(plain: Tensor) -> None:
    images, targets = mixed(plain.contiguous(), {"name": "mixup", "p": 0.0})
    assert torch.equal(images, plain)
    assert torch.equal(targets.argmax(1), labels_of(plain))
    assert torch.equal(targets.amax(1), torch.ones(N))


def test_a_learner_of_probabilities_learns_what_one_of_classes_does() -> None:
    plain, mixing = (
        make_learner(augmentation=components)
        for components in ([], [{"name": "mixup", "p": 0.0}, {"name": "cutmix", "p": 0.0}])
    )
    for learner in (plain, mixing):
        learner.advance(torch.arange(100))
    assert torch.allclose(mixing.tally, plain.tally)
    for ours, theirs in zip(mixing.model.parameters(), plain.model.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


def test_hits_on_mixed_images_are_the_probability_of_the_class_that_was_hit() -> None:
    learner = make_learner(augmentation=[{"name": "mixup"}])
    learner.advance(torch.arange(100))
    hits = float(learner.tally[1])
    assert 0 < hits < 60
    assert hits != int(hits)
