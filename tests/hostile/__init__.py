"""What an attacker sends: one table of hostile cases, a fuzzer, and the promises held against every door."""
