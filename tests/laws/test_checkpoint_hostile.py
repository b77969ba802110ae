"""A checkpoint that was altered is refused as one, or gives the weights of the one that was not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

import elman
from altered import WRONG, altered, leaves, put
from elman.errors import ElmanError, ModelFileError, OptionError
from elman.io import model_folder as store
from elman.training import loop as train
from elman.training.options import TrainingOptions

OPTIONS = TrainingOptions(epochs=2, average=0.9, seed=0, verbose=False)


class Killed(BaseException):
    """As if the process had died."""


def learn(folder: Path, resume: bool = False) -> dict[str, Tensor]:
    """The weights of a tiny model with a parameter that no batch uses, and with a buffer."""
    torch.manual_seed(0)
    model = nn.ModuleDict({"line": nn.Linear(2, 3), "norm": nn.BatchNorm1d(3), "unused": nn.Linear(1, 1)})
    x, y = torch.randn(8, 2), torch.randn(8, 3)

    def loss(indices: Tensor) -> Tensor:
        return (model["norm"](model["line"](x[indices])) - y[indices]).square().mean()

    train.train(
        model,
        loss,
        torch.ones(8, dtype=torch.int64),
        OPTIONS,
        validate=lambda: {"accuracy": 0.5},
        checkpoint=folder,
        resume=resume,
    )
    return model.state_dict()


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Tensor]]:
    """The checkpoint of a run that died after its first epoch, and the weights it would have ended with."""
    place = tmp_path_factory.mktemp("checkpoint")
    with pytest.MonkeyPatch.context() as patch:
        one_epoch = train._Run._one_epoch

        def dies(self: Any, show: Any) -> None:
            if len(self.history) == 1:
                raise Killed
            one_epoch(self, show)

        patch.setattr(train._Run, "_one_epoch", dies)
        with pytest.raises(Killed):
            learn(place / "c")
    return place / "c", learn(place / "whole")


def refused_or_same(folder: Path, expected: dict[str, Tensor], kinds: Any) -> str:
    try:
        found = learn(folder, resume=True)
    except kinds as error:
        return str(error)
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    return ""


def change(name: str, how: str) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    def changed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        old = tensors.pop(name)
        new = {
            "one number": old.reshape(-1)[:1].clone(),
            "none": old.reshape(-1)[:0].clone(),
            "one more dimension": old[None],
            "longer": torch.cat([old.reshape(-1), old.reshape(-1)]),
            "float64": old.double(),
            "int64": old.long(),
            "bool": old.bool(),
            "NaN": torch.full_like(old, float("nan")) if old.is_floating_point() else old[..., :0],
            "infinite": torch.full_like(old, float("inf")) if old.is_floating_point() else old[..., :0],
            "ones": torch.ones_like(old),
        }
        return tensors if how == "missing" else {**tensors, name: new[how]}

    return changed


NAMES = [
    "average.0", "average.3", "best.line.weight", "best.norm.running_var", "best.norm.running_mean",
    "generator.order", "generator.torch", "model.line.bias", "model.norm.running_mean", "model.unused.weight",
    "optimizer.0.exp_avg", "optimizer.0.exp_avg_sq", "optimizer.0.step", "optimizer.2.exp_avg",
    "optimizer.3.exp_avg_sq", "optimizer.3.step",
]  # fmt: skip
HOW = ["missing", "one number", "none", "one more dimension", "float64", "int64", "NaN", "infinite"]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", NAMES)
def test_a_tensor_of_another_kind(broken: tuple[Path, dict[str, Tensor]], tmp_path: Path, name: str, how: str) -> None:
    folder = altered(broken[0], tmp_path / "c", tensors=change(name, how))
    message = refused_or_same(folder, broken[1], ModelFileError)
    unchanged = {tensor: value.dtype for tensor, value in safetensors.torch.load_file(folder / store.WEIGHTS).items()}
    if message:
        assert name in message
        assert "Remove this folder" in message
        assert "--restart" in message
    else:
        assert name in unchanged
        assert how in ("one number", "int64")  # which it was before


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("optimizer.0.step", torch.tensor(-3.0), "optimizer.0.step is -3.0"),
        ("optimizer.0.step", torch.tensor(0.5), "optimizer.0.step is 0.5"),
        ("optimizer.0.exp_avg_sq", torch.full((3, 2), -1.0), "numbers below 0"),
        ("generator.order", torch.ones(5056, dtype=torch.uint8), "no state of torch's random numbers"),
        ("generator.torch", torch.ones(5056, dtype=torch.uint8), "no state of torch's random numbers"),
        ("optimizer.7.step", torch.tensor(1.0), "optimizer.7.step"),
        ("optimizer.x.step", torch.tensor(1.0), "optimizer.x.step"),
        ("optimizer.0.max_exp_avg_sq", torch.ones(3, 2), "optimizer.0.max_exp_avg_sq"),
        ("average.9", torch.tensor(1.0), "average.9"),
        ("generator.cuda", torch.tensor(1.0), "generator.cuda"),
        ("more", torch.tensor(1.0), "more"),
        ("best.more", torch.tensor(1.0), "best.more"),
    ],
)
def test_a_value_that_cannot_be_or_a_tensor_too_many(
    broken: tuple[Path, dict[str, Tensor]], tmp_path: Path, name: str, value: Tensor, words: str
) -> None:
    folder = altered(broken[0], tmp_path / "c", tensors=lambda tensors: {**tensors, name: value})
    with pytest.raises(ModelFileError, match=words):
        learn(folder, resume=True)


def test_all_tensors_of_a_kind_at_once(broken: tuple[Path, dict[str, Tensor]], tmp_path: Path) -> None:
    for prefix in ("optimizer", "average", "model", "best", "generator"):
        folder = altered(
            broken[0],
            tmp_path / prefix,
            tensors=lambda tensors, prefix=prefix: {k: v for k, v in tensors.items() if not k.startswith(prefix)},
        )
        with pytest.raises(ModelFileError, match=prefix):
            learn(folder, resume=True)


def test_a_refused_checkpoint_leaves_the_model_as_it_was(
    broken: tuple[Path, dict[str, Tensor]], tmp_path: Path
) -> None:
    folder = altered(broken[0], tmp_path / "c", tensors=change("optimizer.3.step", "missing"))
    model = nn.ModuleDict({"line": nn.Linear(2, 3), "norm": nn.BatchNorm1d(3), "unused": nn.Linear(1, 1)})
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ElmanError):
        train.train(model, lambda _: model["line"].weight.sum(), torch.ones(8, dtype=torch.int64), OPTIONS,
                    validate=lambda: {"accuracy": 0.5}, checkpoint=folder, resume=True)  # fmt: skip
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("wrong", WRONG)
def test_a_value_of_the_record(broken: tuple[Path, dict[str, Tensor]], tmp_path: Path, wrong: str) -> None:
    """What tells two runs apart may be an OptionError: it belongs to another run."""
    config, _, _ = store.load(broken[0], kind="checkpoint")
    free = {"seconds", "steps_per_second", "loss", "learning_rate", "gradient_norm", "clipped", "accuracy", "updates"}
    for place, path in enumerate(leaves(config, most=1)):
        if path[:2] in (("of", "options"), ("of", "model")) and path[2:] not in ((), ("epochs",)):
            continue  # all are compared in one place
        folder = altered(
            broken[0],
            tmp_path / str(place),
            config=lambda config, path=path: config.update(put(config, path, "@")),
            raw={"@": WRONG[wrong]},
        )
        if path[-1] in free and wrong in ("huge", "beyond 64 bits", "below 0", "a half", "null"):
            continue  # a number like another
        kinds = (ModelFileError, OptionError) if path[0] == "of" else ModelFileError
        assert refused_or_same(folder, broken[1], kinds) or path[-1] == "stopped", path


@pytest.mark.parametrize("key", ["history", "updates", "optimizer", "of", "more"])
def test_a_part_of_the_record_too_few_or_too_many(
    broken: tuple[Path, dict[str, Tensor]], tmp_path: Path, key: str
) -> None:
    def change(config: dict[str, Any]) -> None:
        if config.pop(key, None) is None:
            config[key] = 1

    with pytest.raises((ModelFileError, OptionError)):
        learn(altered(broken[0], tmp_path / "c", config=change), resume=True)


def fitted(task: str, out: Path, resume: bool) -> Any:
    """A task that learns in two epochs, with its checkpoints under `out`."""
    texts = ["a good film", "bad", "poor film", "fine"] * 3
    options: dict[str, Any] = {"hidden": 2, "epochs": 2, "verbose": False, "average": 0.5}
    if task == "pretrain":
        made = elman.Classifier(**options, embed=2, pretrain=texts, pretrain_epochs=2, cell="gru")
        return made.fit(texts, [1, 0, 0, 1] * 3, out=out, resume=resume)
    if task == "forecast":
        frame = {"unique_id": ["a"] * 30, "ds": list(range(30)), "y": [1.0, 2.0, 4.0] * 10}
        made = elman.Forecaster(**options, horizon=2, season=3)
        return made.fit(pl.DataFrame(frame), out=out, resume=resume)
    if task == "multitask":
        made = elman.Multitask(**options)
        return made.fit(texts, {"a": [1, 0, 0, 1] * 3, "b": [0.5] * 12}, out=out, resume=resume)
    makers: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "classify": (elman.Classifier, (texts, [1, 0, 0, 1] * 3)),
        "regress": (elman.Regressor, (texts, [1.0, 0.0, 0.5, 1.0] * 3)),
        "tag": (elman.Tagger, ([text.split() for text in texts], [list("abc"[: len(text.split())]) for text in texts])),
        "generate": (elman.Generator, (texts,)),
        "translate": (elman.Translator, (texts, texts)),
        "transcribe": (elman.Transcriber, ([[[1.0], [2.0], [3.0]]] * 12, ["a"] * 12)),
    }
    kind, data = makers[task]
    return kind(**options).fit(*data, out=out, resume=resume)


TASKS = ["classify", "regress", "multitask", "forecast", "tag", "generate", "transcribe", "translate", "pretrain"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("task", TASKS)
def test_every_task_refuses_an_altered_checkpoint(task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one_epoch = train._Run._one_epoch

    def dies(self: Any, show: Any) -> None:
        if len(self.history) == 1:
            raise Killed
        one_epoch(self, show)

    with monkeypatch.context() as patch:
        patch.setattr(train._Run, "_one_epoch", dies)
        with pytest.raises(Killed):
            fitted(task, tmp_path / "run", resume=False)
    first = tmp_path / "run" / "checkpoint"
    averages = [] if task == "pretrain" else ["average."]  # texts are learnt without
    for prefix in ["optimizer.0.exp", "model.", "best.", "generator.", *averages]:
        out = tmp_path / prefix.replace(".", "-")
        out.mkdir()
        altered(
            first,
            out / "checkpoint",
            tensors=lambda tensors, prefix=prefix: {
                k: v.reshape(-1)[:1] if k.startswith(prefix) else v for k, v in tensors.items()
            },
        )
        with pytest.raises(ModelFileError, match=r"checkpoint/model\.safetensors: "):
            fitted(task, out, resume=True)
    fitted(task, tmp_path / "run", resume=True)
