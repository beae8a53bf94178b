"""The ledger: what the club's rules decide, stored in one DynamoDB table, and read back."""
