"""The same cases for every DynamoDB that we stand on: our model, the emulators, and the real one.

What is expected comes from AWS's documentation. Where an emulator does otherwise, `differences` says so, and a test
holds it to exactly that.
"""
