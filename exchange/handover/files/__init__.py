"""Handover as signed files in a drop folder: for departments that take files and run no connector of their own.

`line` reads as the steps of a delivery and `start` opens it; `chain` knows the deliveries of a folder, `write` makes
their files, `verify` is what the grantee checks. Of handover it may import the steps that both lines share (`receive`,
`decode`, `report`, `receipt`, `granted`, `grants`, `layout`) and the patience of `apply`; never `line` or `table`.
"""
