"""The training loop: what it learns, what it keeps, and that nothing can break it without a word."""

import dataclasses
import io
import json
import math
import os
import signal
import threading

import numpy as np
import pytest
import torch
from torch import nn

from elman.errors import DataError, ModelFileError, OptionError, ShapeError, TrainingError
from elman.io import model_folder as store
from elman.training import loop as train
from elman.training.history import Epoch, History
from elman.training.options import TrainingOptions, learning_rate_at

COUNT = 40
LENGTHS = torch.arange(COUNT) % 7
TINY = TrainingOptions(epochs=5, batch_sequences=8, learning_rate=0.01, patience=None)


@pytest.fixture(autouse=True)
def one_thread():
    """Such tiny products gain nothing from threads, and waiting for them takes most of the time on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Problem:
    """A tiny network with dropout on points; `at` may interfere with a call of loss or validate."""

    def __init__(self, seed=0, at=None, device="cpu", dtype=torch.float32):
        generator = torch.Generator().manual_seed(seed)
        self.x = torch.randn(COUNT, 3, generator=generator).to(device, dtype)
        self.y = (self.x.sum(1) > 0).long()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            layers = nn.Linear(3, 8), nn.Tanh(), nn.Dropout(0.3), nn.Linear(8, 2)
            self.model = nn.Sequential(*layers).to(device, dtype)
        self.at, self.losses, self.validations = at or {}, 0, 0

    def loss(self, indices):
        self.losses += 1
        act = self.at.get(self.losses)
        value = nn.functional.cross_entropy(self.model(self.x[indices]), self.y[indices])
        return act(value) if act else value

    def validate(self):
        assert not self.model.training
        assert not torch.is_grad_enabled()
        self.validations += 1
        act = self.at.get(f"v{self.validations}")
        answer = self.model(self.x)
        metrics = {
            "accuracy": (answer.argmax(1) == self.y).float().mean().item(),
            "loss": nn.functional.cross_entropy(answer, self.y).item(),
        }
        return act(metrics) if act else metrics

    def train(self, options=TINY, **more):
        return train.train(self.model, self.loss, LENGTHS, options, **{"validate": self.validate, **more})

    def weights(self):
        return {key: value.clone() for key, value in self.model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def curve(history):
    timeless = [dataclasses.replace(r, seconds=0, steps_per_second=0) for r in history]
    return history.metric, history.best, history.stopped, timeless


def raising(error):
    def act(value):
        raise error

    return act


# ---- learning


def test_it_learns_and_keeps_the_best():
    problem = Problem()
    history = problem.train(dataclasses.replace(TINY, epochs=15, learning_rate=0.03))
    assert history[-1].loss < history[0].loss / 2
    assert history.stopped == "finished"
    assert not problem.model.training
    best = history.best_epoch
    with torch.no_grad():
        assert problem.validate() == best.validation
    assert best.validation["accuracy"] == max(r.validation["accuracy"] for r in history)


def test_a_lower_loss_is_better_and_decides_between_equals():
    history = Problem().train(metric="loss")
    assert history.best_epoch.validation["loss"] == min(r.validation["loss"] for r in history)
    values = iter([(0.5, 0.9), (0.7, 0.8), (0.7, 0.6), (0.7, 0.7), (0.6, 0.1)])
    history = Problem().train(validate=lambda: dict(zip(("accuracy", "loss"), next(values), strict=True)))
    assert history.best == 3


def test_patience():
    values = iter([0.5, 0.7, 0.6, 0.7, 0.1, 0.9])
    options = dataclasses.replace(TINY, epochs=6, patience=3)
    problem = Problem()
    history = problem.train(options, validate=lambda: {"accuracy": next(values)})
    assert (len(history), history.best, history.stopped) == (5, 2, "patience")


def test_without_validation_the_last_weights_stay():
    problem = Problem()
    history = problem.train(validate=None)
    assert len(history) == history.best == 5
    assert history[-1].validation == {}
    assert history[-1].gradient_norm > 0


@pytest.mark.parametrize("decay", ["cosine", "linear", "none"])
@pytest.mark.parametrize("warmup", [0, 0.1, 1])
def test_learning_rate(decay, warmup):
    options = TrainingOptions(learning_rate=2.0, warmup=warmup, decay=decay)
    rates = [learning_rate_at(options, done / 1000) for done in range(1001)]
    assert max(rates) == pytest.approx(2)
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    if warmup:
        assert rates[0] == 0
    if decay != "none" and warmup < 1:
        assert rates[-1] == pytest.approx(0)


def test_weight_decay_spares_vectors():
    model = nn.Linear(2, 2)
    nn.init.ones_(model.weight)
    nn.init.ones_(model.bias)
    options = TrainingOptions(epochs=5, learning_rate=0.1, weight_decay=0.5)
    train.train(model, lambda i: 0 * (model.weight.sum() + model.bias.sum()), torch.ones(4, dtype=torch.long), options)
    assert model.bias.tolist() == [1, 1]
    assert (model.weight < 0.99).all()


def test_clip():
    history = Problem().train(dataclasses.replace(TINY, clip=1e-3))
    assert all(r.clipped == 1 and r.gradient_norm > 1e-3 for r in history)
    assert all(r.clipped == 0 for r in Problem().train(dataclasses.replace(TINY, clip=0)))


def test_averages_are_what_is_validated_and_kept():
    problem = Problem()
    history = problem.train(dataclasses.replace(TINY, average=0.9))
    with torch.no_grad():
        assert problem.validate() == history.best_epoch.validation
    plain = Problem()
    plain.train()
    assert not same(problem.weights(), plain.weights())
    last = Problem()
    last.train(dataclasses.replace(TINY, average=0.9), validate=None)
    assert not same(last.weights(), plain.weights())


# ---- repeatable


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_the_seed_decides_everything(average):
    options = dataclasses.replace(TINY, average=average)
    one, two, other = Problem(), Problem(), Problem()
    torch.manual_seed(1)
    first = one.train(options)
    torch.manual_seed(2)
    assert curve(two.train(options)) == curve(first)
    assert same(one.weights(), two.weights())
    other.train(dataclasses.replace(options, seed=1))
    assert not same(one.weights(), other.weights())


def test_the_callers_random_numbers_are_untouched():
    before = torch.get_rng_state()
    Problem().train()
    with pytest.raises(TrainingError):
        Problem(at={7: lambda value: value * math.nan}).train()
    Problem(at={9: raising(KeyboardInterrupt())}).train()
    assert torch.equal(torch.get_rng_state(), before)


def test_no_seed_means_another_run_each_time():
    one, two = Problem(), Problem()
    options = dataclasses.replace(TINY, seed=None)
    one.train(options, validate=None)
    two.train(options, validate=None)
    assert not same(one.weights(), two.weights())


# ---- checkpoints


class Killed(BaseException):
    """Stands for kill -9."""


@pytest.mark.parametrize("average", [0.0, 0.9])
@pytest.mark.parametrize("place", [1, 4, 5, 6, 12, 25, "v1", "v3", "v5"])
def test_a_killed_run_resumes_to_the_same_bits(tmp_path, place, average):
    options = dataclasses.replace(TINY, average=average)
    whole = Problem()
    expected = whole.train(options)
    with pytest.raises(Killed):
        Problem(at={place: raising(Killed())}).train(options, checkpoint=tmp_path / "c")
    resumed = Problem(seed=0)
    nn.init.zeros_(resumed.model[0].weight)  # even the weights it begins with come from the checkpoint
    assert curve(resumed.train(options, checkpoint=tmp_path / "c", resume=True)) == curve(expected)
    assert same(resumed.weights(), whole.weights())


def test_killed_between_any_two_writes(tmp_path, monkeypatch):
    whole = Problem()
    options = dataclasses.replace(TINY, epochs=2)
    whole.train(options)
    for step in range(2, 100, 5):
        calls, sync = iter(range(10**6)), os.fsync

        def dying(descriptor, calls=calls, step=step, sync=sync):
            if next(calls) >= step:
                raise Killed
            sync(descriptor)

        folder = tmp_path / f"c{step}"
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", dying)
            try:
                Problem().train(options, checkpoint=folder)
                break
            except Killed:
                pass
        resumed = Problem()
        resumed.train(dataclasses.replace(options, verbose=False), checkpoint=folder, resume=True)
        assert same(resumed.weights(), whole.weights())
    assert step > 10


def test_a_finished_run_resumes_to_itself(tmp_path):
    one, two = Problem(), Problem(seed=0)
    history = one.train(checkpoint=tmp_path / "c")
    assert curve(two.train(checkpoint=tmp_path / "c", resume=True)) == curve(history)
    assert two.losses == 0
    assert same(one.weights(), two.weights())


def test_stopped_by_hand_then_resumed(tmp_path, capsys):
    whole = Problem()
    expected = whole.train()
    stopped = Problem(at={13: raising(KeyboardInterrupt())})
    history = stopped.train(checkpoint=tmp_path / "c")
    assert history.interrupted
    assert len(history) == 2
    assert "Resume to continue" in capsys.readouterr().err
    resumed = Problem()
    assert curve(resumed.train(checkpoint=tmp_path / "c", resume=True)) == curve(expected)
    assert same(resumed.weights(), whole.weights())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"learning_rate": 0.02}, ["learning_rate was 0.01, now 0.02"]),
        ({"epochs": 6, "seed": 1}, ["epochs was 5, now 6", "seed was 0, now 1"]),
    ],
)
def test_other_options_are_refused(tmp_path, changes, words):
    Problem().train(checkpoint=tmp_path / "c")
    with pytest.raises(OptionError) as caught:
        Problem().train(dataclasses.replace(TINY, **changes), checkpoint=tmp_path / "c", resume=True)
    assert all(word in str(caught.value) for word in words)
    Problem().train(dataclasses.replace(TINY, verbose=False), checkpoint=tmp_path / "c", resume=True)


def test_other_data_and_models_are_refused(tmp_path):
    problem = Problem()
    problem.train(checkpoint=tmp_path / "c")
    more = {"validate": problem.validate, "checkpoint": tmp_path / "c", "resume": True}
    with pytest.raises(OptionError, match="number of sequences was 40, now 39"):
        train.train(problem.model, problem.loss, LENGTHS[:-1], TINY, **more)
    with pytest.raises(OptionError, match="lengths of the sequences"):
        train.train(problem.model, problem.loss, LENGTHS.flip(0), TINY, **more)
    with pytest.raises(OptionError, match="validation metric was 'accuracy', now 'loss'"):
        train.train(problem.model, problem.loss, LENGTHS, TINY, **more, metric="loss")
    problem.model.append(nn.Linear(2, 2))
    with pytest.raises(OptionError, match=r"model: 4\.weight was 'absent', now"):
        train.train(problem.model, problem.loss, LENGTHS, TINY, **more)


def test_options_of_every_kind_are_compared(tmp_path):
    @dataclasses.dataclass
    class Task(TrainingOptions):
        hidden: object = None

    def run(hidden, resume=True):
        options = Task(epochs=1, hidden=hidden)
        Problem().train(options, checkpoint=tmp_path / "c", resume=resume)

    for value in [(1, 2), {"a", "b", "c"}, {1: 2.0}, np.int64(3), np.float32(0.5), math.nan, object(), tmp_path]:
        run(value, resume=False)
        run(value)
        with pytest.raises(OptionError, match="hidden was"):
            run("another")


def test_resume_needs_a_folder_but_not_a_checkpoint(tmp_path, capsys):
    with pytest.raises(OptionError, match="resume = True needs"):
        Problem().train(resume=True)
    problem, whole = Problem(), Problem()
    problem.train(checkpoint=tmp_path / "new" / "c", resume=True)
    assert "begins at the beginning" in capsys.readouterr().err
    whole.train()
    assert same(problem.weights(), whole.weights())


def test_a_damaged_checkpoint_is_refused(tmp_path):
    Problem().train(checkpoint=tmp_path / "c")
    path = tmp_path / "c" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelFileError, match="cut short"):
        Problem().train(checkpoint=tmp_path / "c", resume=True)


def test_a_folder_that_cannot_be_written_shows_at_once(tmp_path):
    (tmp_path / "c").write_text("a file")
    problem = Problem()
    with pytest.raises(ModelFileError, match="is a file"):
        problem.train(checkpoint=tmp_path / "c")
    assert problem.losses == 0


def test_a_disk_that_fills_later_does_not_end_the_training(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise ModelFileError("No space left on device")

    problem, whole = Problem(at={"v2": lambda m: monkeypatch.setattr(store, "save", full) or m}), Problem()
    with pytest.warns(UserWarning, match="without a checkpoint of epoch [2-5]: No space"):
        problem.train(checkpoint=tmp_path / "c")
    whole.train()
    assert same(problem.weights(), whole.weights())


# ---- stopping by hand


def test_ctrl_c_keeps_the_best(capsys):
    problem = Problem(at={18: raising(KeyboardInterrupt())})  # in the fourth epoch
    history = problem.train()
    assert history.interrupted
    assert len(history) == 3
    with torch.no_grad():
        assert problem.validate() == history.best_epoch.validation
    error = capsys.readouterr().err
    assert "Stopped in epoch 4 of 5" in error
    assert "Resume" not in error


@pytest.mark.parametrize("place", [1, 3, "v1"])
@pytest.mark.parametrize("average", [0.0, 0.9])
def test_ctrl_c_in_the_first_epoch_is_raised(place, average, capsys):
    """Nothing is there to be kept, and a loop over fits must come to an end."""
    problem = Problem(at={place: raising(KeyboardInterrupt())})
    before = problem.weights()
    with pytest.raises(KeyboardInterrupt):
        problem.train(dataclasses.replace(TINY, average=average))
    assert same(before, problem.weights()) == (place == 1)
    assert not problem.model.training
    assert "kept" not in capsys.readouterr().err


def test_ctrl_c_while_saving(tmp_path, monkeypatch):
    problem = Problem(at={"v3": lambda m: monkeypatch.setattr(os, "fsync", raising(KeyboardInterrupt())) or m})
    history = problem.train(checkpoint=tmp_path / "c")
    assert history.interrupted
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
    monkeypatch.undo()
    whole, resumed = Problem(), Problem()
    whole.train()
    resumed.train(checkpoint=tmp_path / "c", resume=True)
    assert same(resumed.weights(), whole.weights())


def test_a_real_signal():
    problem = Problem(at={9: lambda value: signal.raise_signal(signal.SIGINT) or value})
    assert problem.train().interrupted


def test_in_another_thread():
    results = []
    thread = threading.Thread(target=lambda: results.append(Problem().train()))
    thread.start()
    thread.join()
    assert results[0].stopped == "finished"


# ---- losses that are no numbers


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("place", [2, 13])
def test_a_loss_that_is_no_number(bad, place):
    problem = Problem(at={place: lambda value: value * bad})
    before = problem.weights()
    with pytest.raises(TrainingError) as caught:
        problem.train(name=lambda i: f"line {i + 2} of x.csv")
    message = str(caught.value)
    assert f"the loss became {bad}" in message
    assert f"epoch {1 + (place - 1) // 5}, batch {1 + (place - 1) % 5} of 5" in message
    assert "none of them alone: line " in message
    assert "of x.csv and" not in message
    assert "Lower learning_rate (now 0.01) or clip (now 1; 0 is off)" in message
    assert all(torch.isfinite(p).all() for p in problem.model.parameters())
    if place == 2:
        assert "weights from before the training are back" in message
        assert same(before, problem.weights())
    else:
        assert "the best so far, are back" in message


def test_the_sequences_at_fault_are_named():
    problem = Problem()
    problem.x[7, 1] = math.nan
    with pytest.raises(
        TrainingError, match=r"at fault: sequence 7\. Largest gradient of the others: \d\.(weight|bias)"
    ):
        problem.train()


def test_a_gradient_that_is_no_number():
    # The square root of 0 is a fine number whose slope is not.
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    with pytest.raises(
        TrainingError, match=r"gradient became infinite or NaN \(at a loss of 0\) .* at fault: sequence"
    ):
        train.train(model, lambda i: model.weight.abs().sum().sqrt() * 0, torch.ones(3, dtype=torch.long), TINY)


def test_a_faulty_name_does_not_hide_the_message():
    problem = Problem(at={2: lambda value: value * math.nan})
    with pytest.raises(TrainingError, match="sequence "):
        problem.train(name=lambda i: [][i])


def test_a_metric_that_is_no_number_is_never_the_best():
    values = iter([math.nan, 0.5, math.nan, math.nan, math.nan])
    assert Problem().train(validate=lambda: {"accuracy": next(values)}).best == 2
    history = Problem().train(validate=lambda: {"accuracy": math.nan})
    assert history.best == 0
    assert json.loads(json.dumps(history.to_json(), allow_nan=False))["records"][0]["validation"] == {"accuracy": None}
    assert math.isnan(History.from_json(history.to_json())[0].validation["accuracy"])


# ---- arguments


def test_no_epochs_leave_the_model_alone(tmp_path):
    problem = Problem()
    before = problem.weights()
    history = problem.train(dataclasses.replace(TINY, epochs=0), checkpoint=tmp_path / "c")
    assert (len(history), history.best, history.stopped) == (0, 0, "finished")
    assert same(before, problem.weights())
    assert problem.losses == 0


def test_no_steps_at_all_is_legal():
    problem = Problem()
    history = train.train(problem.model, problem.loss, torch.zeros(COUNT, dtype=torch.long), TINY)
    assert history[0].steps_per_second == 0


def test_refused_arguments():
    problem = Problem()
    with pytest.raises(DataError, match="no sequences"):
        train.train(problem.model, problem.loss, LENGTHS[:0], TINY)
    with pytest.raises(ShapeError, match="whole numbers"):
        train.train(problem.model, problem.loss, LENGTHS.float(), TINY)
    with pytest.raises(OptionError, match=r"'f1' is not among .*accuracy, loss"):
        problem.train(metric="f1")
    with pytest.raises(ShapeError, match="scalar tensor with gradient, got float"):
        train.train(problem.model, lambda i: 1.0, LENGTHS, TINY)
    with pytest.raises(ShapeError, match=r"got shape \[2\]"):
        train.train(problem.model, lambda i: torch.ones(2, requires_grad=True), LENGTHS, TINY)
    with pytest.raises(ShapeError, match="requires_grad = False"):
        train.train(problem.model, lambda i: torch.ones(()), LENGTHS, TINY)
    problem.model.requires_grad_(False)
    with pytest.raises(OptionError, match="no parameters that need a gradient"):
        problem.train()


@pytest.mark.parametrize(
    ("field", "bad", "good"),
    [
        ("epochs", [-1, 1.5, True, "3"], [None, 0, np.int64(3)]),
        ("batch_steps", [0, 1.5], [None, 1]),
        ("batch_sequences", [0, 2.5], [1]),
        ("tbptt", [-1, 2.5, None, True], [0, 100]),
        ("learning_rate", [0, -1, math.nan, math.inf, "1", None, 1j], [1e-9, np.float32(1)]),
        ("weight_decay", [-1, math.nan], [0, 1]),
        ("warmup", [-0.1, 1.1], [0, 1]),
        ("decay", ["slow", None, ["cosine"]], ["linear"]),
        ("clip", [-1, math.inf, None], [0, 5]),
        ("average", [1, -0.1], [0, 0.999]),
        ("patience", [0, -1, 1.5], [None, 1]),
        ("validation", [0.6, -0.1, None], [0, 0.5]),
        ("seed", [-1, 2**63, 1.0, "x", True], [None, 0, 2**63 - 1, np.int32(3)]),
    ],
)
def test_options_are_checked(field, bad, good):
    for value in bad:
        problems = TrainingOptions(**{field: value}).problems()
        assert len(problems) == 1
        assert str(problems[0]).startswith(f"{field} = {value!r} must be ")
    for value in good:
        assert not TrainingOptions(**{field: value}).problems()
    with pytest.raises(OptionError, match=r"epochs = -1 .*; clip = -1 "):
        Problem().train(TrainingOptions(epochs=-1, clip=-1))


def test_models_of_many_kinds():
    class Odd(nn.Module):
        """Tied weights, buffers, frozen and unused parameters, and a state that is no tensor."""

        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(5, 4)
            self.out = nn.Linear(4, 5, bias=False)
            self.out.weight = self.embed.weight
            self.norm = nn.BatchNorm1d(4)
            self.frozen = nn.Parameter(torch.ones(2), requires_grad=False)
            self.unused = nn.Parameter(torch.ones(2))

        def get_extra_state(self):
            return "text"

        def set_extra_state(self, state):
            pass

        def forward(self, x):
            return self.out(self.norm(self.embed(x)))

    model, x = Odd(), torch.arange(COUNT) % 5
    history = train.train(
        model, lambda i: nn.functional.cross_entropy(model(x[i]), x[i]), LENGTHS, dataclasses.replace(TINY, average=0.5)
    )
    assert history[-1].loss < history[0].loss
    assert model.unused.tolist() == [1, 1]
    assert model.out.weight is model.embed.weight


def test_doubles():
    problem = Problem(dtype=torch.float64)
    problem.train()
    assert problem.model[0].weight.dtype == torch.float64


@pytest.mark.gpu
def test_on_a_gpu(tmp_path):
    torch.cuda.manual_seed(5)
    before = torch.cuda.get_rng_state()
    whole = Problem(device="cuda")
    expected = whole.train(checkpoint=tmp_path / "w")
    assert torch.equal(torch.cuda.get_rng_state(), before)
    with pytest.raises(Killed):
        Problem(device="cuda", at={12: raising(Killed())}).train(checkpoint=tmp_path / "c")
    resumed = Problem(device="cuda")
    assert curve(resumed.train(checkpoint=tmp_path / "c", resume=True)) == curve(expected)
    assert same(resumed.weights(), whole.weights())


# ---- the history


def test_history_is_a_sequence():
    history = Problem().train()
    assert isinstance(history[0], Epoch)
    assert [r.epoch for r in history] == [1, 2, 3, 4, 5]
    assert history[-2:] == list(history)[-2:]
    again = History.from_json(json.loads(json.dumps(history.to_json(), allow_nan=False)))
    assert again == history


# ---- progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_on_a_terminal(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    Problem().train()
    text = screen.getvalue()
    assert "epoch 5/5" in text
    assert "accuracy 0." in text
    assert "training loss 0." in text
    assert "best" in text


@pytest.mark.parametrize("screen", [io.StringIO(), Terminal(), None])
def test_silence(monkeypatch, screen):
    monkeypatch.setattr("sys.stderr", screen)
    silent = dataclasses.replace(TINY, verbose=False)
    Problem().train(silent)
    Problem(at={9: raising(KeyboardInterrupt())}).train(silent)
    if screen is not None:
        assert screen.getvalue().count("\n") == 1  # the note about Ctrl-C


def test_one_training_inside_another(monkeypatch):
    monkeypatch.setattr("sys.stderr", Terminal())  # two bars at once
    monkeypatch.setenv("TERM", "xterm")
    outer = Problem(at={"v1": lambda m: Problem().train() and m})  # validate is called without gradient
    assert outer.train().stopped == "finished"
