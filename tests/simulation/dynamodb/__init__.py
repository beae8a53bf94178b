"""A small DynamoDB in memory, made for simulations: what the documentation promises, and nothing that depends on luck.

It answers as botocore does. Time comes from the caller's clock. Two-phase transactions make conflicts real, and an
index or a read may be asked to show what was before.
"""

from tests.simulation.dynamodb.model import Model, Pending, Snapshot
from tests.simulation.dynamodb.table import Change

__all__ = ["Change", "Model", "Pending", "Snapshot"]
