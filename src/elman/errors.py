"""What can go wrong, one class for each thing you would do next.

Every class is also the builtin a reader would expect, so that `except ValueError` keeps working.
"""

__all__ = [
    "BuildError",
    "DataError",
    "ElmanError",
    "ElmanWarning",
    "ModelFileError",
    "OptionError",
    "ShapeError",
    "TrainingError",
]


class ElmanError(Exception):
    """Anything that this package refuses. Catch it to catch all the others.

    >>> issubclass(DataError, ElmanError)
    True
    """


class DataError(ElmanError, ValueError):
    """Your data or your file holds something that cannot be used. Mend the place that the message names.

    >>> raise DataError("line 312 of train.jsonl: tags has 7 labels, tokens has 8. Each token needs one label.")
    Traceback (most recent call last):
    elman.errors.DataError: line 312 of train.jsonl: tags has 7 labels, tokens has 8. Each token needs one label.
    """


class ShapeError(ElmanError, ValueError, RuntimeError):
    """The shapes or dtypes of a call do not fit together. Mend the call. A RuntimeError too, as torch's layers raise.

    >>> raise ShapeError("GRU expects inputs of width 64, got values of shape [1200, 40]. Build it with inputs=40.")
    Traceback (most recent call last):
    elman.errors.ShapeError: GRU expects inputs of width 64, got values of shape [1200, 40]. Build it with inputs=40.
    """


class OptionError(ElmanError, ValueError):
    """One or more options have values that cannot be used. All problems of one object come together.

    >>> raise OptionError("hidden = 0 must be at least 1; dropout = 1.5 must be at least 0 and less than 1")
    Traceback (most recent call last):
    elman.errors.OptionError: hidden = 0 must be at least 1; dropout = 1.5 must be at least 0 and less than 1
    """


class ModelFileError(ElmanError, OSError):
    """The model folder cannot be used: missing, altered, cut short, or written by a newer version. Save it again.

    >>> issubclass(ModelFileError, OSError)
    True
    """


class BuildError(ElmanError, ImportError):
    """The compiled core is missing or does not fit this machine. Build or install the package again.

    >>> issubclass(BuildError, ImportError)
    True
    """


class TrainingError(ElmanError, ArithmeticError):
    """The loss became NaN or infinite. Look at the sequences that the message names, or lower the learning rate.

    >>> issubclass(TrainingError, ArithmeticError)
    True
    """


class ElmanWarning(UserWarning):
    """The call succeeds, but its result rests on little: most symbols are unknown, or all answers are the same.

    Turn it into an error with ``warnings.simplefilter("error", ElmanWarning)``.

    >>> issubclass(ElmanWarning, UserWarning)
    True
    """
