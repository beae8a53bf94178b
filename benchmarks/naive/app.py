"""A naive build of what ``functions/post_ledger`` does, as the yardstick of the benchmarks. It is not deployed.

It is what most would write for a queue of completed orders: Powertools' batch, parser, idempotency, tracer, logger and
metrics, each as its documentation shows it; boto3's resource; one table with a secondary index over everything; the
member read, the entry and the order put, the member updated. It knows one program, ``club``, and of it the purchase,
the daily points and the tiers: no caps, no window, no refunds, no expiry, so it has less to do than the club.
"""

from __future__ import annotations

import os
from datetime import datetime
from decimal import Decimal
from typing import Any

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.parser import parse
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, Field

DAILY_POINTS = 5
MINIMUM_UNIT_PRICE = Decimal("2.00")
TIERS = [("A4", 2000), ("A3", 500), ("A2", 100), ("A1", 1), ("A0", 0)]

logger = Logger()
tracer = Tracer()
metrics = Metrics()
processor = BatchProcessor(event_type=EventType.SQS)
table = boto3.resource("dynamodb").Table(os.environ["LEDGER_TABLE"])
persistence = DynamoDBPersistenceLayer(table_name=os.environ["IDEMPOTENCY_TABLE"])
config = IdempotencyConfig(event_key_jmespath="event_id", expires_after_seconds=7 * 24 * 3600)


class Line(BaseModel):
    """A line of an order."""

    item_id: str
    seller_id: str
    category: str = ""
    unit_price: Decimal = Field(ge=0, decimal_places=2)
    quantity: int = Field(ge=1, le=1_000_000)


class Order(BaseModel):
    """A completed order."""

    order_id: str
    currency: str = Field(pattern="^[A-Z]{3}$")
    lines: list[Line] = Field(min_length=1, max_length=500)
    flags: list[str] = []


class Purchase(BaseModel):
    """A member's order, as the marketplace reports it."""

    event_id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$")
    member_id: str
    occurred_at: datetime
    data: Order


class Message(BaseModel):
    """What EventBridge puts into the queue."""

    source: str
    detail_type: str = Field(alias="detail-type")
    detail: Purchase


class Member(BaseModel):
    """A member, as the table has one."""

    member_id: str
    points: int = 0
    tier: str = "A0"
    last_shopped_on: str = ""


def purchase_points(order: Order) -> int:
    """1 point for each whole unit of currency of the lines that count."""
    return int(sum(line.unit_price * line.quantity for line in order.lines if line.unit_price >= MINIMUM_UNIT_PRICE))


def tier_of(points: int) -> str:
    """The highest tier that the points reach."""
    return next(code for code, minimum in TIERS if points >= minimum)


@tracer.capture_method
def read_member(member_id: str) -> Member:
    """The member, or a new one."""
    found = table.get_item(Key={"pk": f"MEMBER#{member_id}", "sk": "MEMBER"})
    return Member.model_validate(found.get("Item", {"member_id": member_id}))


@tracer.capture_method
def put_entry(purchase: Purchase, points: int, balance: int) -> None:
    """The ledger entry; the index finds it by its order."""
    order, moment = purchase.data, purchase.occurred_at.isoformat()
    table.put_item(
        Item={
            "pk": f"MEMBER#{purchase.member_id}",
            "sk": f"ENTRY#{moment}#{purchase.event_id}",
            "gsi1pk": f"ORDER#{order.order_id}",
            "gsi1sk": moment,
            "event_id": purchase.event_id,
            "points": points,
            "balance": balance,
            "reason": "purchase",
        }
    )


@tracer.capture_method
def put_order(purchase: Purchase, points: int) -> None:
    """The order, for the refunds to come; the index finds it by its day."""
    table.put_item(
        Item={
            "pk": f"MEMBER#{purchase.member_id}",
            "sk": f"ORDER#{purchase.data.order_id}",
            "gsi1pk": f"ORDERS#{purchase.occurred_at.date()}",
            "gsi1sk": purchase.occurred_at.isoformat(),
            "points": points,
            **purchase.data.model_dump(exclude={"order_id"}),
        }
    )


@tracer.capture_method
def update_member(member: Member) -> None:
    """The member's balance and tier; the index ranks the members of a tier."""
    table.update_item(
        Key={"pk": f"MEMBER#{member.member_id}", "sk": "MEMBER"},
        UpdateExpression=(
            "SET member_id = :member_id, points = :points, tier = :tier, last_shopped_on = :day, "
            "gsi1pk = :by_tier, gsi1sk = :by_points"
        ),
        ExpressionAttributeValues={
            ":member_id": member.member_id,
            ":points": member.points,
            ":tier": member.tier,
            ":day": member.last_shopped_on,
            ":by_tier": f"TIER#{member.tier}",
            ":by_points": f"{member.points:09d}",
        },
    )


@idempotent_function(data_keyword_argument="event", persistence_store=persistence, config=config)  # type: ignore[untyped-decorator]
@tracer.capture_method
def post(event: dict[str, Any]) -> dict[str, Any]:
    """Posts a purchase once."""
    purchase = Purchase.model_validate(event)
    member = read_member(purchase.member_id)
    points = purchase_points(purchase.data)
    day = purchase.occurred_at.date().isoformat()
    if points and member.last_shopped_on != day:
        points += DAILY_POINTS
        member.last_shopped_on = day
    member.points += points
    member.tier = tier_of(member.points)
    put_entry(purchase, points, member.points)
    put_order(purchase, points)
    update_member(member)
    return {"points": points, "balance": member.points, "tier": member.tier}


@tracer.capture_method
def record_handler(record: SQSRecord) -> None:
    """Posts what is in one message of the queue."""
    message = parse(event=record.json_body, model=Message)
    posted = post(event=message.detail.model_dump(mode="json"))
    metrics.add_metric(name="PurchasesPosted", unit=MetricUnit.Count, value=1)
    logger.info("posted", extra={"event_id": message.detail.event_id, **posted})


@logger.inject_lambda_context
@tracer.capture_lambda_handler
@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Takes a batch of SQS records and answers which of them are to be delivered again."""
    config.register_lambda_context(context)
    return process_partial_response(event=event, record_handler=record_handler, processor=processor, context=context)
