"""The contract, held from outside: callers who do as they please, and a plain account of what they may rely on."""
