"""What outside witnesses hand over: published checksum lists, time-stamp tokens, proofs of time in Bitcoin's blocks."""
