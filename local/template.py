"""What `template.yaml` says, read through the SAM translator, with every reference resolved for the local stack.

Nothing that the template states is stated a second time in this package: routes, scopes, environments, tables,
queues, event patterns, schedules and permissions all come from here.
"""

import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
REGION = "eu-west-1"
ACCOUNT = "123456789012"  # the account that moto answers for

# The translator wants code in S3. Under this bucket's name the key is the folder, as the template has it.
_BUCKET = "here"
_SUB = re.compile(r"\$\{(!?)([^}]*)\}")
_LAMBDA_URI = re.compile(r"functions/(arn:[^/]+)/invocations$")


class TemplateError(Exception):
    """The template asks for something that the local stack cannot give; the text says where."""


class _NoValue:
    """What `AWS::NoValue` resolves to: the property is left out."""


_NO_VALUE = _NoValue()


@dataclass(frozen=True)
class Statement:
    """One allowing statement of a role, with patterns as IAM has them; what it doesn't limit is empty."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    leading_keys: tuple[str, ...]
    attributes: tuple[str, ...] = ()  # the only ones that a request may name
    via: tuple[str, ...] = ()  # the services that may use a key for the role


@dataclass(frozen=True)
class FunctionSpec:
    """One Lambda function: where its code lies and what surrounds it when it runs."""

    logical_id: str
    name: str
    arn: str
    handler: str
    code: Path
    layers: tuple[Path, ...]
    environment: Mapping[str, str]
    timeout_s: int
    memory_mb: int
    statements: tuple[Statement, ...]
    async_attempts: int  # how often an asynchronous invocation is tried in all
    async_dead_letters: str | None  # the ARN of the queue that keeps what failed each time
    log_group: str | None = None  # ARN, with its streams


@dataclass(frozen=True)
class Authorizer:
    """A JWT authorizer of the HTTP API."""

    issuer: str
    audience: tuple[str, ...]


@dataclass(frozen=True)
class Route:
    """One route; `authorizer` is None where anybody may call. Of `scopes` the token needs one."""

    method: str
    path: str
    function: str  # ARN
    authorizer: Authorizer | None
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class Cors:
    """Whose pages a browser lets read the API, and how."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...]  # lower case
    max_age_s: int


@dataclass(frozen=True)
class QueueSpec:
    """A queue, and where it sends what was received too often."""

    logical_id: str
    name: str
    url: str
    arn: str
    dead_letters: str | None  # ARN
    max_receives: int | None
    visibility_s: int  # so long a received message is out of sight
    key: str | None = None  # ARN of the customer key that it is encrypted with


@dataclass(frozen=True)
class QueueMapping:
    """A queue that feeds a function."""

    queue: str  # ARN
    function: str  # ARN
    batch_size: int
    partial_failures: bool
    concurrency_max: int  # so many batches are with the function at the same time


@dataclass(frozen=True)
class StreamMapping:
    """A table whose changes feed a function."""

    table: str  # the table's name
    function: str  # ARN
    batch_size: int
    partial_failures: bool
    bisect: bool
    attempts: int | None  # None = until it works
    on_failure: str | None  # ARN


@dataclass(frozen=True)
class TableSpec:
    """A table: its name, and its properties as CreateTable wants them."""

    logical_id: str
    name: str
    arn: str
    create: Mapping[str, Any]
    key: str | None = None  # ARN of the customer key that it is encrypted with


@dataclass(frozen=True)
class RuleSpec:
    """A rule of an event bus: the pattern and the ARNs of its targets."""

    logical_id: str
    bus: str
    pattern: Mapping[str, Any]
    targets: tuple[str, ...]


@dataclass(frozen=True)
class ScheduleSpec:
    """A schedule: what it hands to which function."""

    name: str
    function: str  # ARN
    input: str
    expression: str  # when it fires, such as cron(5 0 * * ? *)


class Template:
    """The expanded template with its parameters filled in.

    In: the template's path, and values for its parameters (those of the `local` environment in `samconfig.toml`
    beside it are taken where none is given). Raises TemplateError for what cannot be resolved.
    """

    def __init__(self, path: Path, parameters: Mapping[str, str] | None = None) -> None:
        self.path = path.resolve()
        self.root = self.path.parent
        settings = _local_settings(self.root / "samconfig.toml")
        self.stack_name = settings.get("stack_name", "club-local")
        text = self.path.read_text("utf-8")
        overrides = {**_overrides(settings.get("parameter_overrides", "")), **(parameters or {})}
        self.parameters = _parameter_values(_parse(text).get("Parameters", {}), overrides)
        expanded = expand(text, tuple(self.parameters.items()))
        self._resources: dict[str, Any] = expanded["Resources"]
        self._conditions: dict[str, Any] = expanded.get("Conditions", {})
        self.functions = {spec.arn: spec for spec in self._functions()}
        self.queues = {spec.arn: spec for spec in self._queues()}
        self.tables = {spec.name: spec for spec in self._tables()}
        self.buses = [self.name_of(key) for key, _ in self._of_type("AWS::Events::EventBus")]
        self.rules = list(self._rules())
        self.schedules = {spec.name: spec for spec in self._schedules()}
        self.routes = list(self._routes())
        self.cors = self._cors()
        self.queue_mappings: list[QueueMapping] = []
        self.stream_mappings: list[StreamMapping] = []
        self._read_mappings()

    # ------------------------------------------------------------ names

    def name_of(self, logical_id: str) -> str:
        """Give the physical name of a resource: the one it asks for, else one made as CloudFormation makes it."""
        resource = self._resources[logical_id]
        key = {
            "AWS::SQS::Queue": "QueueName",
            "AWS::DynamoDB::Table": "TableName",
            "AWS::Lambda::Function": "FunctionName",
            "AWS::Logs::LogGroup": "LogGroupName",
        }.get(resource["Type"], "Name")
        asked_for = resource.get("Properties", {}).get(key)
        return self.resolve(asked_for) if asked_for else f"{self.stack_name}-{logical_id}"

    def arn_of(self, logical_id: str) -> str:
        """Give the ARN of a resource."""
        kind = self._resources[logical_id]["Type"]
        name = self.name_of(logical_id)
        service, prefix, suffix = {
            "AWS::SQS::Queue": ("sqs", "", ""),
            "AWS::DynamoDB::Table": ("dynamodb", "table/", ""),
            "AWS::Lambda::Function": ("lambda", "function:", ""),
            "AWS::Logs::LogGroup": ("logs", "log-group:", ":*"),
            "AWS::Events::EventBus": ("events", "event-bus/", ""),
            "AWS::IAM::Role": ("iam", "role/", ""),
            "AWS::Scheduler::ScheduleGroup": ("scheduler", "schedule-group/", ""),
        }.get(kind, (kind.split("::")[1].lower(), f"{kind.split('::')[2].lower()}/", ""))
        if kind == "AWS::Events::Rule":
            bus = self.resolve(self._resources[logical_id]["Properties"].get("EventBusName", "default"))
            prefix = f"rule/{bus}/"
        region = "" if service == "iam" else REGION
        return f"arn:aws:{service}:{region}:{ACCOUNT}:{prefix}{name}{suffix}"

    def function(self, wanted: str) -> FunctionSpec:
        """Find a function by its ARN, its logical id, its name or its folder's name. Raises KeyError."""
        for spec in self.functions.values():
            if wanted in {spec.arn, spec.logical_id, spec.name, spec.code.name}:
                return spec
        raise KeyError(wanted)

    def routes_authorizer(self) -> Authorizer:
        """Give the API's authorizer, for who makes tokens. Raises TemplateError where no route has one."""
        for route in self.routes:
            if route.authorizer is not None:
                return route.authorizer
        raise TemplateError("no route of the template has an authorizer")

    # ------------------------------------------------------------ intrinsic functions

    def resolve(self, value: Any) -> Any:
        """Resolve every reference in a value of the template. Raises TemplateError for what is not known."""
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (name, argument), *_ = value.items()
            if name == "Ref":
                return self._ref(argument)
            if name.startswith("Fn::") or name == "Condition":
                return self._intrinsic(name, argument)
        resolved = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not _NO_VALUE}

    def _intrinsic(self, name: str, argument: Any) -> Any:
        if name == "Fn::GetAtt":
            logical_id, attribute = argument if isinstance(argument, list) else argument.split(".", 1)
            return self._attribute(logical_id, attribute)
        if name == "Fn::Sub":
            return self._substitute(argument)
        if name == "Fn::Join":
            return argument[0].join(str(item) for item in self.resolve(argument[1]))
        if name == "Fn::Select":
            return self.resolve(argument[1])[int(self.resolve(argument[0]))]
        if name == "Fn::Split":
            return str(self.resolve(argument[1])).split(argument[0])
        if name == "Fn::If":
            return self.resolve(argument[1] if self._condition(argument[0]) else argument[2])
        if name in {"Fn::Equals", "Fn::Not", "Fn::And", "Fn::Or", "Condition"}:
            return self._logic(name, argument)
        raise TemplateError(f"{name} is not known to the local stack")

    def _logic(self, name: str, argument: Any) -> bool:
        if name == "Condition":
            return self._condition(argument)
        if name == "Fn::Equals":
            return bool(self.resolve(argument[0]) == self.resolve(argument[1]))
        truths = [bool(self.resolve(item)) for item in argument]
        return {"Fn::Not": not truths[0], "Fn::And": all(truths), "Fn::Or": any(truths)}[name]

    def _condition(self, name: str) -> bool:
        return bool(self.resolve(self._conditions[name]))

    def _ref(self, name: str) -> Any:
        pseudo = {
            "AWS::Region": REGION,
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": self.stack_name,
            "AWS::NoValue": _NO_VALUE,
        }
        if name in pseudo:
            return pseudo[name]
        if name in self.parameters:
            return self.parameters[name]
        if name not in self._resources:
            raise TemplateError(f"Ref {name}: there is no such parameter or resource")
        if self._resources[name]["Type"] == "AWS::SQS::Queue":
            return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{self.name_of(name)}"
        return self.name_of(name)

    def _attribute(self, logical_id: str, attribute: str) -> Any:
        if logical_id not in self._resources:
            raise TemplateError(f"GetAtt {logical_id}.{attribute}: there is no such resource")
        if attribute == "Arn":
            return self.arn_of(logical_id)
        if attribute == "StreamArn":
            return f"{self.arn_of(logical_id)}/stream/local"
        if attribute in {"QueueName", "Name"}:
            return self.name_of(logical_id)
        if attribute == "QueueUrl":
            return self._ref(logical_id)
        raise TemplateError(f"GetAtt {logical_id}.{attribute} is not known to the local stack")

    def _substitute(self, argument: Any) -> str:
        text, values = (argument, {}) if isinstance(argument, str) else argument

        def replaced(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return "${" + name + "}"
            if name in values:
                return str(self.resolve(values[name]))
            if "." in name:
                return str(self._attribute(*name.split(".", 1)))
            return str(self._ref(name))

        return _SUB.sub(replaced, text)

    # ------------------------------------------------------------ what there is

    def _of_type(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for logical_id, resource in self._resources.items():
            condition = resource.get("Condition")
            if resource["Type"] == kind and (condition is None or self._condition(condition)):
                yield logical_id, resource.get("Properties", {})

    def _functions(self) -> Iterator[FunctionSpec]:
        attempts = {
            self.resolve(props["FunctionName"]): 1 + int(self.resolve(props.get("MaximumRetryAttempts", 2)))
            for _, props in self._of_type("AWS::Lambda::EventInvokeConfig")
        }
        layers = {
            logical_id: self.root / props["Content"]["S3Key"]
            for logical_id, props in self._of_type("AWS::Lambda::LayerVersion")
        }
        for logical_id, props in self._of_type("AWS::Lambda::Function"):
            name = self.name_of(logical_id)
            environment = self.resolve(props.get("Environment", {}).get("Variables", {}))
            yield FunctionSpec(
                logical_id=logical_id,
                name=name,
                arn=self.arn_of(logical_id),
                handler=props["Handler"],
                code=self.root / props["Code"]["S3Key"],
                layers=tuple(layers[layer["Ref"]] for layer in props.get("Layers", [])),
                environment={key: str(value) for key, value in environment.items()},
                timeout_s=int(self.resolve(props.get("Timeout", 3))),
                memory_mb=int(self.resolve(props.get("MemorySize", 128))),
                statements=tuple(self._statements(props.get("Role"))),
                async_attempts=attempts.get(name, 3),
                async_dead_letters=self.resolve(props.get("DeadLetterConfig", {})).get("TargetArn"),
                log_group=_log_group_arn(self.resolve(props.get("LoggingConfig", {})).get("LogGroup")),
            )

    def _statements(self, role: Any) -> Iterator[Statement]:
        """Read what a function's role allows; roles outside the template allow nothing here."""
        if not (isinstance(role, dict) and "Fn::GetAtt" in role):
            return
        props = self._resources[role["Fn::GetAtt"][0]]["Properties"]
        for policy in props.get("Policies", []):
            for statement in self.resolve(policy["PolicyDocument"])["Statement"]:
                if statement["Effect"] != "Allow":
                    raise TemplateError(f"policy {policy['PolicyName']}: only Allow is known to the local stack")
                yield Statement(
                    statement.get("Sid", ""),
                    tuple(_as_list(statement["Action"])),
                    tuple(_as_list(statement["Resource"])),
                    *_limits(statement.get("Condition", {}), policy["PolicyName"]),
                )

    def _queues(self) -> Iterator[QueueSpec]:
        for logical_id, props in self._of_type("AWS::SQS::Queue"):
            redrive = self.resolve(props.get("RedrivePolicy", {}))
            yield QueueSpec(
                logical_id=logical_id,
                name=self.name_of(logical_id),
                url=self._ref(logical_id),
                arn=self.arn_of(logical_id),
                dead_letters=redrive.get("deadLetterTargetArn"),
                max_receives=int(redrive["maxReceiveCount"]) if redrive else None,
                visibility_s=int(self.resolve(props.get("VisibilityTimeout", 30))),
                key=self._key_arn(self.resolve(props.get("KmsMasterKeyId"))),
            )

    def _tables(self) -> Iterator[TableSpec]:
        kept = {
            "AttributeDefinitions",
            "KeySchema",
            "GlobalSecondaryIndexes",
            "LocalSecondaryIndexes",
            "BillingMode",
            "ProvisionedThroughput",
            "StreamSpecification",
        }
        for logical_id, props in self._of_type("AWS::DynamoDB::Table"):
            name = self.name_of(logical_id)
            create = {key: self.resolve(value) for key, value in props.items() if key in kept}
            if "StreamSpecification" in create:
                create["StreamSpecification"] = {"StreamEnabled": True, **create["StreamSpecification"]}
            key = self._key_arn(self.resolve(props.get("SSESpecification", {})).get("KMSMasterKeyId"))
            yield TableSpec(logical_id, name, self.arn_of(logical_id), {"TableName": name, **create}, key)

    def _key_arn(self, named: str | None) -> str | None:
        """Give the ARN of a customer key that is named by its ARN, its id or its alias."""
        if named is None or named.startswith("arn:"):
            return named
        if named.startswith("alias/"):
            targets = [self.resolve(props) for _, props in self._of_type("AWS::KMS::Alias")]
            return self._key_arn(next(each["TargetKeyId"] for each in targets if each["AliasName"] == named))
        return f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{named}"

    def _rules(self) -> Iterator[RuleSpec]:
        for logical_id, props in self._of_type("AWS::Events::Rule"):
            if "EventPattern" not in props or self.resolve(props.get("State", "ENABLED")) != "ENABLED":
                continue
            yield RuleSpec(
                logical_id=logical_id,
                bus=self.resolve(props.get("EventBusName", "default")),
                pattern=self.resolve(props["EventPattern"]),
                targets=tuple(self.resolve(target["Arn"]) for target in props.get("Targets", [])),
            )

    def _schedules(self) -> Iterator[ScheduleSpec]:
        for logical_id, props in self._of_type("AWS::Scheduler::Schedule"):
            target = self.resolve(props["Target"])
            expression = self.resolve(props["ScheduleExpression"])
            yield ScheduleSpec(self.name_of(logical_id), target["Arn"], target.get("Input", "{}"), expression)

    def _routes(self) -> Iterator[Route]:
        for _, props in self._of_type("AWS::ApiGatewayV2::Api"):
            body = self.resolve(props["Body"])
            schemes = body.get("components", {}).get("securitySchemes", {})
            authorizers = {name: _authorizer(scheme) for name, scheme in schemes.items()}
            for path, methods in body["paths"].items():
                for method, operation in methods.items():
                    uri = operation["x-amazon-apigateway-integration"]["uri"]
                    match = _LAMBDA_URI.search(uri)
                    if match is None:
                        raise TemplateError(f"{method} {path}: only functions are known to the local stack")
                    security = operation.get("security") or []
                    authorizer, scopes = next(iter(security[0].items())) if security else (None, [])
                    known = authorizers[authorizer] if authorizer and authorizer != "NONE" else None
                    verb = "ANY" if method == "x-amazon-apigateway-any-method" else method.upper()
                    yield Route(verb, path, match.group(1), known, tuple(scopes))

    def _cors(self) -> Cors | None:
        for _, props in self._of_type("AWS::ApiGatewayV2::Api"):
            given = self.resolve(props["Body"]).get("x-amazon-apigateway-cors")
            if given:
                headers = tuple(name.lower() for name in given.get("allowHeaders", []))
                methods = tuple(given.get("allowMethods", []))
                return Cors(tuple(given["allowOrigins"]), methods, headers, int(given.get("maxAge", 0)))
        return None

    def _read_mappings(self) -> None:
        streams = {f"{table.arn}/stream/local": table.name for table in self.tables.values()}
        for logical_id, props in self._of_type("AWS::Lambda::EventSourceMapping"):
            mapping = self.resolve(props)
            function = self.function(mapping["FunctionName"]).arn
            source = mapping["EventSourceArn"]
            partial = "ReportBatchItemFailures" in mapping.get("FunctionResponseTypes", [])
            if source in self.queues:
                size = int(mapping.get("BatchSize", 10))
                at_once = int(mapping.get("ScalingConfig", {}).get("MaximumConcurrency", 1000))
                self.queue_mappings.append(QueueMapping(source, function, size, partial, at_once))
            elif source in streams:
                retries = int(mapping.get("MaximumRetryAttempts", -1))
                self.stream_mappings.append(
                    StreamMapping(
                        table=streams[source],
                        function=function,
                        batch_size=int(mapping.get("BatchSize", 100)),
                        partial_failures=partial,
                        bisect=bool(mapping.get("BisectBatchOnFunctionError", False)),
                        attempts=None if retries < 0 else retries + 1,
                        on_failure=mapping.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination"),
                    )
                )
            else:
                raise TemplateError(f"{logical_id}: its source {source} is not known to the local stack")


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _log_group_arn(name: str | None) -> str | None:
    return None if name is None else f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}:*"


_EVERY_VALUE = ("ForAllValues:StringLike", "ForAllValues:StringEquals")
_LIMITS = {
    "dynamodb:LeadingKeys": _EVERY_VALUE,
    "dynamodb:Attributes": _EVERY_VALUE,
    "kms:ViaService": ("StringEquals",),
}


def _limits(condition: Mapping[str, Any], policy: str) -> Iterator[tuple[str, ...]]:
    """Read the conditions that are known here, each with what it allows: leading keys, attributes, services."""
    asked = {(name, test) for test, names in condition.items() for name in names}
    for name, test in asked:
        if test not in _LIMITS.get(name, ()):
            raise TemplateError(f"policy {policy}: the condition {test} on {name} is not known to the local stack")
    for name in _LIMITS:
        yield tuple(value for names in condition.values() for value in _as_list(names.get(name, [])))


def _authorizer(scheme: Mapping[str, Any]) -> Authorizer:
    settings = scheme["x-amazon-apigateway-authorizer"]["jwtConfiguration"]
    return Authorizer(settings["issuer"], tuple(_as_list(settings["audience"])))


def _local_settings(path: Path) -> dict[str, Any]:
    """Read the `local` environment of samconfig.toml: the stack's name and its parameters."""
    if not path.exists():
        return {}
    settings = tomllib.loads(path.read_text("utf-8")).get("local", {})
    merged: dict[str, Any] = {}
    for command in ("global", "deploy"):
        merged.update(settings.get(command, {}).get("parameters", {}))
    return merged


def _overrides(text: str | list[str]) -> dict[str, str]:
    pairs = shlex.split(text) if isinstance(text, str) else text
    return dict(pair.split("=", 1) for pair in pairs)


def _parameter_values(declared: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise TemplateError(f"the template has no parameter {', '.join(unknown)}")
    values: dict[str, str] = {}
    for name, parameter in declared.items():
        if name in given:
            values[name] = str(given[name])
        elif "Default" in parameter:
            values[name] = str(parameter["Default"])
        else:
            raise TemplateError(f"the parameter {name} has no default: give it a value in samconfig.toml, [local]")
        allowed = [str(value) for value in parameter.get("AllowedValues", [])]
        if allowed and values[name] not in allowed:
            raise TemplateError(f"the parameter {name} is {values[name]!r}, and may be {', '.join(allowed)}")
        pattern = parameter.get("AllowedPattern")
        if pattern and not re.fullmatch(pattern, values[name]):
            raise TemplateError(f"the parameter {name} is {values[name]!r}, which {pattern} does not allow")
        if parameter["Type"] == "Number" and not _within_bounds(values[name], parameter):
            bounds = " to ".join(str(parameter.get(bound, "any")) for bound in ("MinValue", "MaxValue"))
            raise TemplateError(f"the parameter {name} is {values[name]!r}, and has to be a number, {bounds}")
    return values


def _within_bounds(value: str, parameter: Mapping[str, Any]) -> bool:
    try:
        number = float(value)
    except ValueError:
        return False
    return bool(parameter.get("MinValue", number) <= number <= parameter.get("MaxValue", number))


@lru_cache(maxsize=8)
def _parse(text: str) -> dict[str, Any]:
    """Read a template, with its short forms written out. The answer is shared: don't change it."""
    from samtranslator.yaml_helper import yaml_parse

    parsed: dict[str, Any] = yaml_parse(text)
    return parsed


@lru_cache(maxsize=8)
def expand(text: str, parameters: tuple[tuple[str, str], ...] = ()) -> dict[str, Any]:
    """Give what CloudFormation makes of a SAM template (in: YAML), as the SAM translator has it.

    References to parameters stay open, but where SAM looks at the value itself: there it takes `parameters` (names and
    values), or a default. Offline: it needs a region, code in S3 and no list of managed policies. The answer is shared:
    don't change it.
    """
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator

    raw = deepcopy(_parse(text))
    for resource in raw["Resources"].values():
        properties = resource.get("Properties", {})
        for key in ("CodeUri", "ContentUri"):
            if isinstance(properties.get(key), str):
                properties[key] = f"s3://{_BUCKET}/{properties[key]}"
    # Of a session it wants the region; a real one would read the machine's profile, and fail if it names one amiss.
    translator = Translator({}, Parser(), boto_session=SimpleNamespace(region_name=REGION))
    expanded: dict[str, Any] = translator.translate(raw, dict(parameters))
    translator.metrics.publish()  # to nobody; it would complain later that nobody asked
    return expanded
