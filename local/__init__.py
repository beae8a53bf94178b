"""The local stack: the whole club in one process, built from `template.yaml`, with no Docker and no account.

template    reads `template.yaml` through the SAM translator: every route, scope, queue, schedule and permission
functions   loads and runs the functions, unmodified, each with its own environment
boundary    the place where their calls leave botocore: permissions, faults, then moto or our own queues and bus
permissions what a request needs, and whether the function's role allows it
faults      failures of the data store, on purpose and repeatable
moto_patch  changes to moto, so that its cost follows what is touched
queues      queues and what a function mapped to one gets: partial failures, retries, dead letters
bus         event patterns and PutEvents
gateway     HTTP -> an API Gateway event
tokens      real signed tokens, made and checked
stack       all of that put together, with a clock
server      the stack over HTTP, and the calls under /_local
"""
