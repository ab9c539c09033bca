"""Wrong search spaces: what is searched or the whole file, each with what is said about it."""

LR = "recipe.optimizer.lr: {uniform: [0.1, 0.2]}"
SEED = "recipe.seed: {integer: [0, 3]}"

SPACES = {
    "nothing": ("", "space={}: .*1 item"),
    "unknown path": ("recipe.optimizer.lrr: {uniform: [0.1, 0.2]}", "did you mean 'lr'"),
    "path to nowhere": ("recipe.nosuch: {choice: [1, 2]}", "nosuch.*unknown field in recipe"),
    "empty path": ("'': {choice: [1, 2]}", "all trials share it"),
    "whole recipe": ("recipe: {choice: [{}, {epochs: 1}]}", "space.recipe: all trials share it"),
    "shared": ("recipe.data: {choice: [sample, synthetic]}", "all trials share it"),
    "shared split": ("recipe.validation_fraction: {uniform: [0.1, 0.2]}", "all trials share it"),
    "placement": ("placement.workers: {choice: [1, 2]}", "all trials share it"),
    "store": ("store: {choice: [a, b]}", "all trials share it"),
    "one inside another": (
        f"recipe.optimizer: {{choice: [{{name: sgd}}, {{name: adamw}}]}}, {LR}",
        "lies inside space.recipe.optimizer",
    ),
    "inverted": ("recipe.label_smoothing: {uniform: [0.3, 0.1]}", "low=0.3 must be below"),
    "one point": ("recipe.label_smoothing: {uniform: [0.1, 0.1]}", "low=0.1 must be below"),
    "no logarithm": ("recipe.optimizer.lr: {loguniform: [0, 0.1]}", "must be above 0"),
    "negative logarithm": ("recipe.optimizer.lr: {loguniform: [-1, 1]}", "must be above 0"),
    "three ends": ("recipe.optimizer.lr: {uniform: [1, 2, 3]}", "at most 2 items"),
    "one end": ("recipe.optimizer.lr: {uniform: [1]}", "at least 2 items"),
    "words as ends": ("recipe.optimizer.lr: {uniform: [0.1, b]}", "='b': .*number"),
    "NaN as an end": ("recipe.optimizer.lr: {uniform: [.nan, 1]}", "='.nan': .*number"),
    "infinite end": ("recipe.optimizer.lr: {uniform: [0.1, 1e999]}", "=inf: .*finite"),
    "real end of whole numbers": ("recipe.seed: {integer: [0, 1.5]}", "=1.5: .*integer"),
    "beyond 53 bits": ("recipe.seed: {integer: [0, 99999999999999999]}", "9007199254740992"),
    "beyond bounds": ("recipe.label_smoothing: {uniform: [0.0, 2.0]}", "label_smoothing.*=2.0"),
    "no choice": ("recipe.batch_size: {choice: []}", "choice needs two values"),
    "one choice": ("recipe.batch_size: {choice: [8]}", "choice needs two values"),
    "same choice": ("recipe.batch_size: {choice: [8, 8]}", "names a value twice"),
    "equal choices": ("recipe.label_smoothing: {choice: [0, 0.0]}", "names a value twice"),
    "mixed choices": ("recipe.batch_size: {choice: [8, big]}", "='big': .*integer"),
    "null as a choice": ("recipe.batch_size: {choice: [null, 8]}", "=None: .*integer"),
    "import as a choice": ("recipe.model.name: {choice: [os.system, lenet5]}", "unknown model"),
    "many choices": (
        f"recipe.seed: {{choice: [{', '.join(map(str, range(1001)))}]}}",
        "should have at most",
    ),
    "code": ("recipe.optimizer.lr: 'tune.uniform(0, 1)'", "must be one of"),
    "lambda": ("recipe.optimizer.lr: 'lambda: 0.1'", "must be one of"),
    "bare list": ("recipe.optimizer.lr: [0.1, 0.2]", "must be one of"),
    "bare number": ("recipe.optimizer.lr: 0.1", "must be one of"),
    "no kind": ("recipe.optimizer.lr: {}", "must be one of"),
    "two kinds": (
        "recipe.optimizer.lr: {uniform: [0.1, 0.2], choice: [0.1, 0.2]}",
        "must be one of",
    ),
    "unknown kind": ("recipe.optimizer.lr: {normal: [0, 1]}", "normal: unknown field"),
    "condition on nothing": (
        "recipe.optimizer.lr: {uniform: [0.1, 0.2], when: {recipe.nosuch: 1}}",
        "nosuch: unknown field in recipe",
    ),
    "condition on itself": (
        "recipe.batch_size: {choice: [8, 9], when: {recipe.batch_size: 8}}",
        "depends on itself",
    ),
    "circle of conditions": (
        "recipe.batch_size: {choice: [8, 9], when: {recipe.seed: 1}}, "
        "recipe.seed: {choice: [1, 2], when: {recipe.batch_size: 8}}",
        "depends on itself",
    ),
    "condition never met": (
        "recipe.optimizer.name: {choice: [sgd, adamw]}, "
        "recipe.optimizer.lr: {uniform: [0.1, 0.2], when: {recipe.optimizer.name: adam}}",
        "is never drawn",
    ),
    "word as a condition": (
        "recipe.optimizer.lr: {uniform: [0.1, 0.2], when: sgd}",
        "when='sgd': .*object",
    ),
    "step beyond the range": ("recipe.batch_size: {integer: [8, 9], step: 99}", "step=99"),
    "no step": ("recipe.batch_size: {integer: [8, 9], step: 0}", "step=0: .*greater than 0"),
    "two that do not fit": (
        "recipe.warmup_epochs: {uniform: [0, 5]}, recipe.epochs: {integer: [4, 20]}",
        "warmup_epochs=5.0 must be less than epochs=4",
    ),
    "sampler": ("recipe.seed: {integer: [0, 1]}}\nsampler: {a: 1", "sampler="),
    "huge grid": (
        "recipe.seed: {integer: [0, 99999]}}\nsampler: grid\ntrials: null\nasha: {grace_epochs: 1",
        "make 100001 trials, more than 10000",
    ),
}

HEADS = {
    "no trials": ("", LR, "trials: required"),
    "trials 0": ("trials: 0", LR, "trials=0: .*1"),
    "trials beyond": ("trials: 10000000", LR, "trials=10000000: .*10000"),
    "trials by word": ("trials: many", LR, "trials='many': .*integer"),
    "trials by truth": ("trials: true", LR, "trials=True: .*integer"),
    "trials of a grid": ("trials: 4\nsampler: grid", SEED, "must be left out with sampler grid"),
    "grid of real numbers": ("sampler: grid", LR, "a grid cannot list a real number"),
    "unknown sampler": ("trials: 4\nsampler: bayes", LR, "sampler='bayes': .*'random'"),
    "no grace": ("trials: 4\nasha: {grace_epochs: 0}", LR, "grace_epochs=0: .*1"),
    "long grace": ("trials: 4\nasha: {grace_epochs: 99}", LR, "must not exceed"),
    "no reduction": ("trials: 4\nasha: {reduction_factor: 1}", LR, "reduction_factor=1: .*2"),
    "unknown rule": ("trials: 4\nasha: {grace: 1}", LR, "asha.grace: unknown field"),
    "word as a rule": ("trials: 4\nasha: off", LR, "asha='off': .*object"),
    "metric": ("trials: 4\nmetric: loss", LR, "metric: unknown field"),
    "misspelled": ("trials: 4\ntrail: 3", LR, "trail: unknown field; did you mean 'trials'"),
    "no time": ("trials: 4\nbudget: {seconds: 0}", LR, "budget.seconds=0: .*1"),
    "free": ("trials: 4\nbudget: {cost: 0}", LR, "budget.cost=0: .*greater than 0"),
    "unknown budget": ("trials: 4\nbudget: {minutes: 3}", LR, "budget.minutes: unknown field"),
    "wrong job": ("trials: 4\njob: {recipe: {epochs: 0}}", LR, "job.*recipe.epochs=0: .*1"),
    "unknown recipe": ("trials: 4\njob: resnet19", LR, "did you mean 'resnet18_cam'"),
    "list as job": ("trials: 4\njob: [1]", LR, "job: a job is a mapping"),
    "nothing held out": (
        "trials: 4\njob: {recipe: {validation_fraction: 0}}",
        LR,
        "ranked on validation images",
    ),
    "another's option": (
        "trials: 4\njob: {recipe: {optimizer: {name: adamw}}}",
        "recipe.optimizer.momentum: {uniform: [0.1, 0.9]}",
        "momentum: unknown field in recipe.optimizer",
    ),
}
