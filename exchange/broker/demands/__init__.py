"""Demands through their life: what is asked, the replies, their clocks, and the states and steps that follow."""
