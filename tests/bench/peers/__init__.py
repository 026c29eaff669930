"""`make bench-peers`: `curate` beside datatrove's pipeline and beside bare loops, over the same pages in one run.

The peer has an environment of its own and runs in processes of its own; nothing that the product imports comes from there.
"""
