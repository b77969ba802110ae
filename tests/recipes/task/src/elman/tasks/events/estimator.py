"""How many events a sequence stands for: Poisson regression, rate = exp(A pool(h_1 ... h_T) + b)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self, final

import numpy as np
import torch
from torch import Tensor

from elman.errors import OptionError, Problem
from elman.tasks.base.finite import finite
from elman.tasks.base.fitted import by_learnt_options
from elman.tasks.base.inputs import InputReader, count
from elman.tasks.base.network import Network, answers, restored
from elman.tasks.base.options import EncoderOptions, InputOptions, tbptt_problems
from elman.tasks.base.resolve import TRAINING, Default, Summary
from elman.tasks.base.session import Session
from elman.tasks.base.task import Task
from elman.training.options import TrainingOptions
from elman.validation.options import fraction


@final
@dataclass(kw_only=True, eq=False, repr=False)
class EventCounter(Task, InputOptions, EncoderOptions, TrainingOptions):
    """The expected number of events for each sequence."""

    task: ClassVar[str] = "events"
    description: ClassVar[str] = "How many events each sequence stands for."
    defaults: ClassVar[Mapping[str, Default]] = TRAINING

    floor: float = 0.0  # the smallest rate that is answered

    def problems(self) -> list[Problem]:
        """Everything that is wrong with the options, a sentence each."""
        return super().problems() + tbptt_problems(self, every_step=False) + fraction(self, "floor")

    @property
    def reader(self) -> InputReader:
        """What reads the sequences for this task."""
        return InputReader(self)

    def fit(self, X: Any, y: Any, *, out: Any = None, resume: bool = False) -> Self:
        """Learns from sequences `X` and their counts `y`."""
        run, reader = self.training_run(out, resume), self.reader
        column, y = reader.learn(X, y)
        counts = torch.tensor(np.asarray(y, np.float32))
        training, rest = run.split(count(column))
        feature = reader.feature(column)
        data, kept = reader.features(feature, column, training, rest)
        config = self.config(Summary(feature, (), len(training), data.steps, len(rest)))
        reader.remember(feature, column, config)
        self.network_: Network = run.build(Network, feature, 1, config)
        self.data_ = reader.metadata(config, data, kept)
        lessons = counts[torch.from_numpy(training)]

        def loss(indices: Tensor) -> Tensor:
            rates = self.network_(data[indices])[:, 0]
            return torch.nn.functional.poisson_nll_loss(rates, lessons[indices])

        run.train(self.network_, config, loss, data.lengths, training, validate=None, metric="loss")
        return self

    @by_learnt_options
    def predict(self, X: Any) -> Any:
        """The rate of each sequence, float64 [sequences]."""
        self.check_fitted()
        rates = np.exp(finite(answers(self.network_, self.reader.steps(self.reader.read(X)), 1))[:, 0])
        return np.maximum(rates, self.floor)

    def score(self, X: Any, y: Any) -> float:
        """Minus the mean absolute error."""
        return -float(np.abs(self.predict(X) - np.asarray(y)).mean())

    def stream(self) -> Session:
        """Refused."""
        raise OptionError("a counter of events cannot stream. Pass whole sequences to predict.")

    def described(self) -> dict[str, Any]:
        """What the model reads."""
        return self.reader.described()

    def _config(self) -> dict[str, Any]:
        return self.reader.config()

    def _tensors(self) -> dict[str, Tensor]:
        return self.reader.tensors()

    def _files(self) -> dict[str, str]:
        return self.reader.files()

    def _restore(self, config: Any, tensors: Any, files: Any, folder: Any) -> None:
        self.reader.restore(config, tensors, files)
        self.network_ = restored(self.feature_, 1, self.config(), tensors, folder)
