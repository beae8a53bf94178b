"""The door: who may call, what a request holds, how answers and problems look. No rule stands here."""
