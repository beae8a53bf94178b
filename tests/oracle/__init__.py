"""A second, independent implementation of the rules: the judge in the tests."""
