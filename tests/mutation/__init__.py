"""The mutation run: small defects planted in the rules and the ledger, one at a time, to see which a test catches.

mutmut makes the mutants (pyproject.toml, tool.mutmut); docs/mutation.md says why they are run in this way.
"""
