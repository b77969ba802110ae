"""`elman summary`: the layers of a saved model, and what was chosen for options that were left at None."""

from elman.cli.console import print_json
from elman.cli.parameters import Json, Model


def summary(model: Model, /, *, json: Json = False) -> None:
    """The layers of a model with their parameters and bytes, and the values chosen for options left at None."""
    from elman.tasks import load

    found = load(model).summary()
    if json:
        print_json(found.to_json())
    else:
        print(found)
