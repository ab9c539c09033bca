"""Optuna's tree-structured Parzen estimator, asked and told; its study never outlives a call."""

import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cifar_dist.search.parameters import Parameter, Pick
from cifar_dist.search.samplers import Observation
from cifar_dist.search.tree import Picks, Tree, Variable

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial


def proposals(tree: Tree, seed: int, seen: Sequence[Observation]) -> Iterator[Picks]:
    """Give what is worth trying next, best first: pure in the seed and what was seen, in order."""
    study = _study(seed)
    known = {variable.name: _distribution(variable.parameter) for variable in tree.variables}
    for observation in seen:
        picks = tree.picks(observation.overrides)
        if picks:  # the base job's own values may lie outside of every range
            study.add_trial(_told(observation, picks, {name: known[name] for name in picks}))
    while True:
        yield _asked(tree, study.ask())


def _study(seed: int) -> "Study":
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            seed=seed % 2**32,
            n_startup_trials=1,  # our own draws come before
            multivariate=True,
            group=True,  # models parameters together that are active together
            constant_liar=True,  # keeps away from what is running
        )
    return optuna.create_study(direction="maximize", sampler=sampler)


def _told(
    observation: Observation, picks: Picks, distributions: "dict[str, BaseDistribution]"
) -> "FrozenTrial":
    from optuna.trial import TrialState, create_trial

    values = dict(observation.values)
    score = observation.score
    if score is None and values:
        score = values[max(values)]
    state, value = TrialState.PRUNED, None
    if observation.state == "running":
        state = TrialState.RUNNING
    elif observation.state == "finished" and score is not None:
        state, value = TrialState.COMPLETE, score
    elif observation.state == "failed":
        values = {}  # TPE forgets failures, but ranks a pruned trial without values last
    return create_trial(
        state=state,
        value=value,
        params=picks,
        distributions=distributions,
        intermediate_values=values,
    )


def _asked(tree: Tree, trial: "Trial") -> Picks:
    def suggested(variable: Variable) -> Pick:
        name, parameter = variable.name, variable.parameter
        low, high = parameter.ends[0], parameter.ends[-1]
        if parameter.choice is not None:
            return int(trial.suggest_categorical(name, parameter.ends))
        if parameter.count is not None:
            return trial.suggest_int(name, int(low), int(high))
        return trial.suggest_float(name, low, high, log=parameter.loguniform is not None)

    return tree.completed(suggested)


def _distribution(parameter: Parameter) -> "BaseDistribution":
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if parameter.choice is not None:
        return CategoricalDistribution(parameter.ends)
    low, high = parameter.ends
    if parameter.count is not None:
        return IntDistribution(int(low), int(high))
    return FloatDistribution(low, high, log=parameter.loguniform is not None)
