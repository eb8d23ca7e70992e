"""Reads what is typed into an option's type, without the validation library that Typer brings.

Measured: Typer 0.29 imports pydantic to read the first value that is no flag, which takes longer
than all else that ``trainshed ls`` does. Our options are of five plain types.
"""

import re
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin

import typer


class PlainValue:
    """How one parameter's values are read; stands where Typer keeps its own reader."""

    def __init__(self, annotation: Any, info: Any) -> None:  # noqa: ANN401
        """Take the parameter's type, and Typer's description of it (for its limits)."""
        self._many = get_origin(annotation) is list
        self._type = get_args(annotation)[0] if self._many else annotation
        self._least, self._most = info.min, info.max

    def knows(self) -> bool:
        """Tell whether the type is one of ours."""
        return self._type in {str, int, bool, Path} or (
            isinstance(self._type, type) and issubclass(self._type, Enum)
        )

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:  # noqa: ANN401
        """Return the value in the parameter's type; several of them where it takes several.

        Raises:
            typer.BadParameter: it is none.
        """
        try:
            if self._many:
                return [self._one(item) for item in value or ()]
            return None if value is None else self._one(value)
        except ValueError as error:
            raise typer.BadParameter(str(error), ctx=ctx, param=param) from error

    def _one(self, value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, self._type) and self._type is not int:
            return value
        if issubclass(self._type, Enum):
            return _member(self._type, str(value))
        if self._type is not int:
            return self._type(value)
        if not re.fullmatch(r"-?[0-9]{1,18}", str(value)):
            raise ValueError(f"{value!r} is no whole number")
        number = int(value)
        if self._least is not None and number < self._least:
            raise ValueError(f"{number} is less than {self._least}")
        if self._most is not None and number > self._most:
            raise ValueError(f"{number} is more than {self._most}")
        return number


def read_plainly(parameters: list[Any]) -> list[Any]:
    """Return a command's parameters, those of our types reading their values here.

    A Typer that reads values in another way is left as it is.
    """
    for parameter in parameters:
        descriptor = getattr(parameter, "type_descriptor", None)
        if descriptor is not None and hasattr(parameter, "_runtime_param"):
            reader = PlainValue(descriptor.annotation, descriptor.parameter_info)
            if reader.knows():
                parameter._runtime_param = reader
    return parameters


def _member(kind: type[Enum], text: str) -> Enum:
    for member in kind:
        if member.value == text:
            return member
    raise ValueError(f"{text!r} is not one of {', '.join(str(member.value) for member in kind)}")
