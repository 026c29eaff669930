"""`make bench-tags`: what the tags are worth, beside a character n-gram baseline, on text of sources that the models did not see.

It needs ../shared/data and minutes, and fits models again, so it is no part of `make bench`.
"""
