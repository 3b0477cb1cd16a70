"""RandomString, RandomId and RandomUuid, with the options and outputs of pulumi-random.

It does not serve RandomPassword: a password would land in the state, and nothing here may need one.
"""

import base64
import secrets
import string
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version

from emulator.plugins.diff import changes
from emulator.plugins.package import Checked, Difference, Failure, Found, Package, ProviderError, Resource
from pulumi_wire.values import UNKNOWN, Properties, without

SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
"""The special characters of pulumi-random (its documentation of `special`)."""

Draw = Callable[[Properties], tuple[str, Properties]]
"""Complete inputs -> (id, what was drawn)."""
Judge = Callable[[Properties], list[Failure]]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One resource type. Every input forces a new value, as in pulumi-random."""

    draw: Draw
    results: tuple[str, ...]
    judge: Judge = lambda inputs: []
    defaults: Mapping[str, object]

    def complete(self, inputs: Properties) -> Properties:
        """Return inputs with defaults where they say nothing; `number` is the old name of `numeric`."""
        named = {"numeric": inputs["number"]} if "number" in inputs else {}
        return {**self.defaults, **named, **without(inputs, ["number"])}


class Random(Package):
    """The package `random`."""

    name = "random"
    version = version("pulumi-random")

    def check(self, resource: Resource, old: Properties, new: Properties, seed: bytes) -> Checked:
        """Refuse what cannot be drawn."""
        kind = KINDS.get(resource.token)
        if kind is None:
            return Checked(inputs=new, failures=[_refused(resource.token)])
        return Checked(inputs=new, failures=kind.judge(kind.complete(new)))

    def diff(
        self, resource: Resource, old_inputs: Properties, old_outputs: Properties, new: Properties
    ) -> Difference:
        """Any change draws again; an option that is set to its default is no change."""
        complete = KINDS[resource.token].complete
        found = changes(complete(old_inputs), complete(new), lambda path, before, after: False)
        return Difference(changes=found, replaces=frozenset(change.top for change in found))

    def create(self, resource: Resource, inputs: Properties, *, preview: bool) -> tuple[str, Properties]:
        """Draw."""
        kind = KINDS[resource.token]
        complete = kind.complete(inputs)
        if preview:
            return "", {**complete, **dict.fromkeys(kind.results, UNKNOWN)}
        drawn, results = kind.draw(complete)
        return drawn, {**complete, **results}

    def update(
        self,
        resource: Resource,
        old_inputs: Properties,
        old_outputs: Properties,
        new: Properties,
        *,
        preview: bool,
    ) -> Properties:
        """Never asked for: every change replaces."""
        raise ProviderError(f"{resource.urn}: a {resource.token} never changes in place")

    def delete(self, resource: Resource, inputs: Properties, outputs: Properties) -> None:
        """Forget: there is nothing but the state."""

    def read(self, resource: Resource, inputs: Properties, outputs: Properties) -> Found:
        """Answer the state: what was drawn exists nowhere else, so it cannot drift and cannot be imported."""
        if not outputs:
            raise ProviderError(
                f"{resource.id}: the emulated random provider cannot import; let it draw again."
            )
        return Found(id=resource.id, outputs=outputs, inputs=inputs)


def _refused(token: str) -> Failure:
    if token.endswith(":RandomPassword"):
        return Failure(
            "",
            f"{token}: the emulator draws no passwords. It would be a secret in the state, and no part of "
            "the platform takes one: use a managed identity or a key made where it is used.",
        )
    return Failure(
        "",
        f"{token} is not served by the emulated random provider, which knows {', '.join(sorted(KINDS))}. "
        "Add it to KINDS in emulator/plugins/random/provider.py.",
    )


def _draw_string(inputs: Properties) -> tuple[str, Properties]:
    alphabets = {
        "Lower": string.ascii_lowercase if inputs["lower"] else "",
        "Numeric": string.digits if inputs["numeric"] else "",
        "Special": inputs["overrideSpecial"] or SPECIAL if inputs["special"] else "",
        "Upper": string.ascii_uppercase if inputs["upper"] else "",
    }
    drawn = [
        secrets.choice(alphabet) for name, alphabet in alphabets.items() for _ in range(inputs[f"min{name}"])
    ]
    every = "".join(alphabets.values())
    drawn += [secrets.choice(every) for _ in range(inputs["length"] - len(drawn))]
    secrets.SystemRandom().shuffle(drawn)
    result = "".join(drawn)
    return result, {"result": result}


def _judge_string(inputs: Properties) -> list[Failure]:
    classes = ("lower", "numeric", "special", "upper")
    failures = []
    least = {name: inputs[f"min{name.title()}"] for name in classes}
    length = inputs.get("length")
    if length is not UNKNOWN and (not isinstance(length, int) or length < 1):
        failures.append(Failure("length", f"length must be a whole number of at least 1, not {length!r}"))
    elif isinstance(length, int) and UNKNOWN not in least.values() and length < sum(least.values()):
        failures.append(
            Failure(
                "length", f"length {length} is less than the minima of its classes: {sum(least.values())}"
            )
        )
    failures += [
        Failure(f"min{name.title()}", f"min{name.title()} asks for characters that {name}=false excludes")
        for name in classes
        if inputs[name] is False and least[name] != 0
    ]
    if not any(inputs[name] for name in classes):
        failures.append(Failure("lower", "at least one of lower, numeric, special and upper must be true"))
    return failures


def _draw_id(inputs: Properties) -> tuple[str, Properties]:
    drawn = secrets.token_bytes(inputs["byteLength"])
    url = base64.urlsafe_b64encode(drawn).decode().rstrip("=")
    prefix = inputs.get("prefix", "")
    return url, {
        "b64Std": prefix + base64.b64encode(drawn).decode(),
        "b64Url": prefix + url,
        "dec": prefix + str(int.from_bytes(drawn, "big")),
        "hex": prefix + drawn.hex(),
    }


def _judge_id(inputs: Properties) -> list[Failure]:
    length = inputs.get("byteLength")
    if length is UNKNOWN or (isinstance(length, int) and length >= 1):
        return []
    return [Failure("byteLength", f"byteLength must be a whole number of at least 1, not {length!r}")]


def _draw_uuid(inputs: Properties) -> tuple[str, Properties]:
    result = str(uuid.uuid4())
    return result, {"result": result}


KINDS: Mapping[str, Kind] = {
    "random:index/randomString:RandomString": Kind(
        draw=_draw_string,
        judge=_judge_string,
        results=("result",),
        defaults={
            "lower": True,
            "minLower": 0,
            "minNumeric": 0,
            "minSpecial": 0,
            "minUpper": 0,
            "numeric": True,
            "overrideSpecial": "",
            "special": True,
            "upper": True,
        },
    ),
    "random:index/randomId:RandomId": Kind(
        draw=_draw_id, judge=_judge_id, results=("b64Std", "b64Url", "dec", "hex"), defaults={}
    ),
    "random:index/randomUuid:RandomUuid": Kind(draw=_draw_uuid, results=("result",), defaults={}),
}
