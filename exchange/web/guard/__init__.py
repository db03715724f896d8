"""What stands between everybody and the paths: who may do what, which answers browsers may use how, who read what.

`rights` is the one table of who may do what. May import: broker and below, problems.
"""
