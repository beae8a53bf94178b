"""Issues coupons and gifts that are due (contract 2.4): starts a run by schedule, and works it off by its queue."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger

from club_ledger.rewarding import sweep_rewards
from club_ledger.sweep_handler import handle_sweep
from club_ledger.sweeping import REWARD_SWEEP

logger = Logger()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Takes the schedule's input, or a batch of the sweep's own queue; answers which messages are to come again."""
    return handle_sweep(REWARD_SWEEP, event, context, logger, sweep_rewards)
