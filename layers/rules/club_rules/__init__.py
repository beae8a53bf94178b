"""The rules of the club, pure: standard library only, no clock, no I/O."""
