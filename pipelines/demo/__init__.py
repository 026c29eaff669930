"""The demo of `make run`: this Python's own documentation, served, crawled, changed, crawled again, and put through every verb."""
