"""How many events a sequence stands for: Poisson regression, rate = exp(A pool(h_1 ... h_T) + b)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor

from elman.errors import Problem
from elman.io.model_folder import network
from elman.tasks.base.fitted import by_learnt_options
from elman.tasks.base.inputs import InputReader, count
from elman.tasks.base.network import Network, answers, finite
from elman.tasks.base.options import EncoderOptions, InputOptions, tbptt_problems
from elman.tasks.base.resolve import TRAINING, Default
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
        """What is wrong with the options."""
        return super().problems() + tbptt_problems(self, every_step=False) + fraction(self, "floor")

    def _fit(self, run: Any, reader: InputReader, X: Any, y: Any) -> None:
        column, y = reader.learn(X, y)
        data = reader.prepare(reader.feature(column), column, run.split(count(column)))
        self.network_: Network = run.build(Network, self.feature_, 1, data.config)
        self.data_ = reader.metadata(data)
        lessons = torch.tensor(np.asarray(y, np.float32)[data.indices])

        def loss(indices: Tensor) -> Tensor:
            rates = self.network_(data.training[indices])[:, 0]
            return torch.nn.functional.poisson_nll_loss(rates, lessons[indices])

        lengths = data.training.lengths
        run.train(self.network_, data.config, loss, lengths, data.indices, validate=None, metric="loss")

    @by_learnt_options
    def predict(self, X: Any) -> Any:
        """The rate of each sequence, float64 [sequences]."""
        rates = np.exp(finite(answers(self.network_, self.reader.steps(self.reader.read(X)), 1))[:, 0])
        return np.maximum(rates, self.floor)

    def score(self, X: Any, y: Any) -> float:
        """Minus the mean absolute error."""
        return -float(np.abs(self.predict(X) - np.asarray(y)).mean())

    def _restore(self, config: Any, tensors: Any, files: Any, folder: Any) -> None:
        self.network_ = network(lambda: Network(self.feature_, 1, self.config()), tensors, folder)
