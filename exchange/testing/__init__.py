"""What integrators test their own clients and connectors with.

`hostile`: records that admission must put aside, each with its code. `leaks`: looks for values of records where none
may be. `examples`: the accepted and refused examples beside every schema. Stands aside: the product imports none of it.
"""
