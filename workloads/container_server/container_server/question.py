"""How a question to a container server is written as words of `fedctl` and read again, by one class."""

import argparse
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from types import UnionType
from typing import Any, ClassVar, Generic, Self, TypeVar, get_args, get_type_hints

A = TypeVar("A")
"""The form of a question's answer."""


class UnreadableQuestionError(Exception):
    """Not one of these questions, or not in its form."""


def word(text: str = "", *, choices: tuple[str, ...] = ()) -> Any:
    """A field that is given by its place, without a name."""
    return field(metadata={"placed": True, "help": text, "choices": choices or None})


def option(text: str = "", *, metavar: str | None = None, default: Any = None) -> Any:
    """A field that is given by its name, and may be left out."""
    return field(default=default, metadata={"help": text, "metavar": metavar})


def needed(text: str = "") -> Any:
    """A field that is given by its name, always."""
    return field(metadata={"help": text})


@dataclass(frozen=True, kw_only=True)
class Question(Generic[A]):
    """A question whose answer has the form `A`; its fields are texts, numbers, switches or named values."""

    command: ClassVar[str]
    about: ClassVar[str]

    def words(self) -> tuple[str, ...]:
        """The question as arguments of `fedctl`."""
        given = [(one, getattr(self, one.name)) for one in fields(self)]
        placed = [str(value) for one, value in given if one.metadata.get("placed")]
        named = [text for one, value in given if "placed" not in one.metadata for text in _words(one, value)]
        if any(text.startswith("-") for text in placed):
            return (self.command, *named, "--", *placed)
        return (self.command, *placed, *named)

    @classmethod
    def read(cls, arguments: Mapping[str, Any]) -> Self:
        """The question as it came over the socket. Raises UnreadableQuestionError."""
        try:
            return cls(**arguments)
        except TypeError as error:
            raise UnreadableQuestionError(str(error).partition(" ")[2]) from error

    @classmethod
    def add_to(cls, commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
        """Add what `words` writes to the command line of `fedctl`."""
        parser, types = commands.add_parser(cls.command, help=cls.about), get_type_hints(cls)
        for one in fields(cls):
            _add(parser, one, types[one.name])


def _words(one: "Field[Any]", value: Any) -> list[str]:
    flag = f"--{one.name}"
    if isinstance(value, bool):
        return [flag] if value else []
    if isinstance(value, Mapping):
        return [text for name, text_of in value.items() for text in _named(flag, f"{name}={text_of}")]
    return [] if value is None else _named(flag, str(value))


def _named(flag: str, value: str) -> list[str]:
    """A value with its name. argparse takes one that begins with a dash for another name, unless joined."""
    return [f"{flag}={value}"] if value.startswith("-") else [flag, value]


def _add(parser: argparse.ArgumentParser, one: "Field[Any]", kind: Any) -> None:
    text, flag = one.metadata.get("help"), f"--{one.name}"
    if one.metadata.get("placed"):
        parser.add_argument(one.name, help=text, choices=one.metadata["choices"])
    elif kind is bool:
        parser.add_argument(flag, action="store_true", help=text)
    elif kind == Mapping[str, str]:
        parser.add_argument(flag, action=_Named, default={}, metavar="NAME=VALUE", help=text)
    else:
        plain = get_args(kind)[0] if isinstance(kind, UnionType) else kind
        default = None if one.default is MISSING else one.default
        parser.add_argument(
            flag,
            type=plain,
            required=one.default is MISSING,
            default=default,
            metavar=one.metadata.get("metavar"),
            help=text,
        )


class _Named(argparse.Action):
    """Collects `--param NAME=VALUE`."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        given: argparse.Namespace,
        values: Any,
        option: str | None = None,
    ) -> None:
        name, is_pair, value = str(values).partition("=")
        if not is_pair:
            raise UnreadableQuestionError(f"{option} {values}: expected NAME=VALUE")
        setattr(given, self.dest, {**getattr(given, self.dest), name: value})
